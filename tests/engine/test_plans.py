"""Another plan at run time: what is in flight ends on the plan that it started with."""

import pytest

from mcroute.policy import Null, Pool, PoolRoute, Replicate, Server, compile_plan

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

A, B, C = (Server(name, "127.0.0.1", port) for name, port in (("a", 1), ("b", 2), ("c", 3)))


def plan_of(*servers: Server, **options: object) -> object:
    return compile_plan(PoolRoute(Pool("main", servers, **options)))


@pytest.fixture
def net() -> Network:
    return network(PoolRoute(Pool("main", (A, B))), 2)


def test_a_request_in_flight_ends_on_its_own_plan(net: Network) -> None:
    client = net.client()
    net.send(client, b"get k1\r\n")
    net.engine.install(compile_plan(Null()))
    net.send(client, b"get k1\r\n")
    assert net.got(client) == b""
    net.reply(Pool("main", (A, B)).ring().owner(b"k1"), b"VALUE k1 0 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE k1 0 1\r\nx\r\nEND\r\nEND\r\n"


def test_a_failover_goes_on_along_the_old_plan() -> None:
    both = Pool("main", (A, B))
    net = network(Replicate(both, copies=2), 2)
    first, second = both.ring().owners(b"k1", 2)
    client = net.client()
    net.send(client, b"get k1\r\n")
    net.engine.install(compile_plan(Null()))
    assert net.engine.server_ids() == {}
    assert net.engine.server_in_use(first) and net.engine.server_in_use(second)
    net.lose(first)
    net.reply(second, b"VALUE k1 0 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE k1 0 1\r\nx\r\nEND\r\n"
    assert not net.engine.server_in_use(first)


def test_servers_that_stay_keep_their_ids(net: Network) -> None:
    assert net.engine.server_ids() == {"a": 0, "b": 1}
    net.engine.set_server_state(1, 1)
    net.engine.install(plan_of(C, B))
    assert net.engine.server_ids() == {"c": 2, "b": 1}
    assert net.engine.server_state(1) == 1
    assert not net.engine.server_in_use(0)


def test_another_address_is_another_server(net: Network) -> None:
    net.engine.install(plan_of(A, Server("b", "127.0.0.1", 22)))
    assert net.engine.server_ids() == {"a": 0, "b": 2}


def test_an_id_is_given_again_only_when_nothing_refers_to_it(net: Network) -> None:
    client = net.client()
    key = next(b"k%d" % i for i in range(50) if Pool("main", (A, B)).ring().owner(b"k%d" % i) == 0)
    net.send(client, b"get %s\r\n" % key)
    net.engine.install(plan_of(B))
    net.engine.install(plan_of(B, C))
    assert net.engine.server_ids() == {"b": 1, "c": 2}
    net.reply(0, b"END\r\n")
    assert not net.engine.server_in_use(0)
    # Its link is still open: the driver has not closed it yet.
    net.engine.install(plan_of(B, C, Server("d", "127.0.0.1", 4)))
    assert net.engine.server_ids()["d"] == 3
    net.lose(0)
    net.engine.install(plan_of(B, C, Server("d", "127.0.0.1", 4), Server("e", "127.0.0.1", 5)))
    assert net.engine.server_ids()["e"] == 0


def test_plans_without_end_cost_nothing(net: Network) -> None:
    for port in range(10, 200):
        net.engine.install(plan_of(A, Server("b", "127.0.0.1", port)))
    # The links of 0 and 1 are open; the next servers reuse the other ids.
    assert max(net.engine.server_ids().values()) <= 3


def test_timeouts_are_the_new_plans(net: Network) -> None:
    net.engine.install(plan_of(A, B, reply_timeout_s=0.1, deadline_s=0.3))
    client = net.client()
    net.send(client, b"get k1\r\n")
    net.wait(0.11)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"


def test_a_key_has_one_of_several_links() -> None:
    net = network(PoolRoute(pool(1)), 1)
    links = [net.links[0], *(net.engine.open_link(0, index) for index in (1, 2))]
    for link in links:
        net.engine.link_connected(link)
    with pytest.raises(IndexError, match="link 4"):
        net.engine.open_link(0, 4)
    first, second = net.client(), net.client()
    keys = [b"k%d" % i for i in range(60)]
    net.send(first, b"get " + b" ".join(keys) + b"\r\n")
    parts = [net.got(link) for link in links]
    # One get for each link, every key once.
    assert all(part.count(b"get ") == 1 for part in parts)
    assert sorted(key for part in parts for key in part[4:-2].split()) == sorted(keys)
    for key in keys:
        net.send(second, b"touch %s 0\r\n" % key)
    for link, part in zip(links, parts, strict=True):
        assert [line.split()[1] for line in net.got(link).splitlines()] == part[4:-2].split()


def test_a_link_whose_replies_do_not_come_is_closed() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"get a\r\n")
    net.wait(0.6)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    net.wait(9)
    assert net.closed == []
    net.wait(1)
    assert net.closed == net.links
