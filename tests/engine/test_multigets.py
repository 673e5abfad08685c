"""A multiget is one get for each link, also for the keys that go on to another server."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcroute.policy import ByPrefix, Failover, MissFailover, Pool, PoolRoute, Replicate, Route, Server

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

KEYS = [b"k%d" % i for i in range(24)]
EJECTED = 1


def get(keys: list[bytes]) -> bytes:
    return b"get %s\r\n" % b" ".join(keys)


def items(keys: list[bytes]) -> bytes:
    return b"".join(b"VALUE %s 0 1\r\nx\r\n" % key for key in keys)


def asked(net: Network, server: int) -> list[list[bytes]]:
    """The keys of each get that the server was sent."""
    return [line.split()[1:] for line in net.asked(server).splitlines()]


def two_pools() -> tuple[PoolRoute, PoolRoute]:
    """Each key of servers 0 and 1 is on one of 1 and 2 as well."""
    servers = tuple(Server(f"s{i}", "127.0.0.1", 1000 + i) for i in range(3))
    return PoolRoute(Pool("main", servers[:2])), PoolRoute(Pool("spare", servers[1:]))


def test_keys_of_an_ejected_server_join_the_parts_of_the_others() -> None:
    net = network(Failover(two_pools()), 3)
    client = net.client()
    net.engine.set_server_state(0, EJECTED)
    net.send(client, get(KEYS))
    parts = {server: asked(net, server) for server in (1, 2)}
    assert [len(part) for part in parts.values()] == [1, 1]
    assert sorted(parts[1][0] + parts[2][0]) == sorted(KEYS)
    for server, part in parts.items():
        net.reply(server, items(part[0]) + b"END\r\n")
    assert net.got(client) == items(KEYS) + b"END\r\n"


def test_keys_that_miss_are_asked_of_the_next_pool_together() -> None:
    net = network(MissFailover(two_pools()), 3)
    client = net.client()
    net.send(client, get(KEYS))
    first = asked(net, 0)[0]
    net.reply(1, items(asked(net, 1)[0]) + b"END\r\n")
    net.reply(0, items(first[:1]) + b"END\r\n")
    spare = two_pools()[1].pool.ring()
    second = [[key for key in first[1:] if spare.owner(key) == server] for server in (0, 1)]
    assert [asked(net, server) for server in (1, 2)] == [[part] for part in second]
    net.reply(1, items(second[0]) + b"END\r\n")
    # A miss is an answer: the missing reply of the second pool's server makes no error.
    net.lose(2)
    hits = [key for key in KEYS if key not in second[1]]
    assert net.got(client) == items(hits) + b"END\r\n"


def test_a_read_from_a_random_copy_is_one_get_for_each_server() -> None:
    net = network(Replicate(pool(3), copies=2, read="random"), 3)
    owners = {key: pool(3).ring().owners(key, 2) for key in KEYS}
    seen = set()
    for _ in range(20):
        client = net.client()
        net.send(client, get(KEYS))
        parts = [asked(net, server) for server in range(3)]
        assert all(len(part) <= 1 for part in parts)
        ranks = {owners[key].index(server) for server in range(3) for key in parts[server][0]}
        assert len(ranks) == 1
        seen |= ranks
        for server in range(3):
            net.reply(server, items(parts[server][0]) + b"END\r\n")
        assert net.got(client) == items(KEYS) + b"END\r\n"
    assert seen == {0, 1}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["first", "random"]),
    st.sets(st.integers(0, 3)),
    st.lists(st.tuples(st.integers(0, 7), st.sets(st.integers(0, 3))), min_size=2, max_size=16),
)
def test_a_key_is_found_where_any_of_its_servers_has_it(
    read: str, gone: set[int], wanted: list[tuple[int, set[int]]]
) -> None:
    """`wanted` are keys, each with the servers that would know it if it were placed there."""
    net = network(Replicate(pool(4), copies=3, read=read), 4)
    client = net.client()
    for server in gone:
        net.engine.set_server_state(server, EJECTED)
    known = {b"k%d" % number: servers for number, servers in wanted}
    keys = [b"k%d" % number for number, _ in wanted]
    net.send(client, get(keys))
    for _ in range(3):
        for server in range(4):
            for part in asked(net, server):
                net.reply(server, items([key for key in part if server in known[key]]) + b"END\r\n")
    owners = {key: set(pool(4).ring().owners(key, 3)) - gone for key in keys}
    if not all(owners.values()):
        assert net.got(client).startswith(b"SERVER_ERROR ")
    else:
        assert net.got(client) == items([key for key in keys if owners[key] & known[key]]) + b"END\r\n"


SERVERS = tuple(Server(f"s{i}", "127.0.0.1", 1000 + i) for i in range(8))
# Two with one ring, one with another, one that needs none, and one with copies.
POOLS = {
    b"a": Pool("a", SERVERS[:3]),
    b"b": Pool("b", SERVERS[:3]),
    b"c": Pool("c", SERVERS[2:5]),
    b"d": Pool("d", SERVERS[4:5]),
    b"e": Pool("e", SERVERS[5:]),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(POOLS)), st.integers(0, 200)), min_size=2, max_size=100, unique=True
    )
)
def test_keys_of_many_pools_are_one_get_for_each_server(wanted: list[tuple[bytes, int]]) -> None:
    routes: dict[bytes, Route] = {prefix: PoolRoute(members) for prefix, members in POOLS.items()}
    routes[b"e"] = Replicate(POOLS[b"e"], copies=3)
    net = network(ByPrefix(routes, default=routes[b"a"]), len(SERVERS))
    client = net.client()
    keys = [b"%s%d" % pair for pair in wanted]
    net.send(client, get(keys))
    due: dict[int, list[bytes]] = {}
    for key in keys:
        servers = POOLS[key[:1]].servers
        owner = servers[POOLS[key[:1]].ring().owner(key)]
        due.setdefault(SERVERS.index(owner), []).append(key)
    for server in range(len(SERVERS)):
        assert asked(net, server) == ([due[server]] if server in due else [])
        if server in due:
            net.reply(server, items(due[server]) + b"END\r\n")
    assert net.got(client) == items(keys) + b"END\r\n"


@pytest.mark.parametrize("count", [31, 32, 33, 64, 65, 100])
def test_a_row_of_keys_of_one_prefix_may_be_long(count: int) -> None:
    """Owners are looked up for 32 keys at a time."""
    routes = {prefix: PoolRoute(members) for prefix, members in POOLS.items()}
    net = network(ByPrefix(routes, default=routes[b"a"]), len(SERVERS))
    client = net.client()
    keys = [b"d", *(b"ab"[i % 2 : i % 2 + 1] + b"%d" % i for i in range(count)), b"c1"]
    net.send(client, get(keys))
    for server in range(len(SERVERS)):
        for part in asked(net, server):
            owners = [POOLS[key[:1]].servers[POOLS[key[:1]].ring().owner(key)] for key in part]
            assert {SERVERS.index(owner) for owner in owners} == {server}
            net.reply(server, items(part) + b"END\r\n")
    assert net.got(client) == items(keys) + b"END\r\n"


@pytest.mark.parametrize(
    "line", [b"SERVER_ERROR temporary failure\r\n", b"CLIENT_ERROR too hot\r\n", b"ERROR\r\n"]
)
def test_the_line_of_a_server_that_refuses_is_passed_on(line: bytes) -> None:
    net = network(PoolRoute(pool(2)), 2)
    client = net.client()
    net.send(client, get(KEYS) + b"version\r\n")
    first, second = asked(net, 0), asked(net, 1)
    net.reply(0, items(first[0][:1]) + line)
    net.reply(1, items(second[0]) + b"END\r\n")
    assert net.got(client) == line + b"VERSION 1.6.45\r\n"
    assert net.closed == []


def test_of_two_that_refuse_the_first_line_is() -> None:
    net = network(PoolRoute(pool(2)), 2)
    client = net.client()
    net.send(client, get(KEYS))
    net.reply(1, b"SERVER_ERROR one\r\n")
    net.reply(0, b"SERVER_ERROR other\r\n")
    assert net.got(client) == b"SERVER_ERROR one\r\n"


def test_a_timeout_replaces_a_refusal_before_it() -> None:
    net = network(PoolRoute(pool(2, reply_timeout_s=0.5, deadline_s=0.5)), 2)
    client = net.client()
    net.send(client, get(KEYS))
    net.reply(1, b"SERVER_ERROR one\r\n")
    net.wait(0.6)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"


def test_a_key_that_another_server_has_refutes_the_refusal() -> None:
    net = network(Failover(two_pools()), 3)
    client = net.client()
    net.send(client, get(KEYS))
    parts = {server: asked(net, server) for server in (0, 1)}
    net.reply(0, b"SERVER_ERROR one\r\n")
    net.reply(1, items(parts[1][0]) + b"END\r\n")
    for server in (1, 2):
        for keys in asked(net, server):
            net.reply(server, items(keys) + b"END\r\n")
    assert net.got(client) == items(KEYS) + b"END\r\n"
