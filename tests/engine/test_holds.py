"""Order on a key whose write goes on at another server: later requests wait until it has ended."""

import pytest

from mcroute.policy import ByCommand, Failover, Pool, PoolRoute, Replicate, Server
from mcroute.policy.steps import Ask

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

SET, GET = b"set k 0 0 1\r\nx\r\n", b"get k\r\n"


def single(index: int) -> PoolRoute:
    return PoolRoute(Pool(f"p{index}", (Server(f"s{index}", "127.0.0.1", index + 1),)))


@pytest.fixture
def net() -> Network:
    return network(Failover((single(0), single(1))), 2)


@pytest.mark.parametrize("later", [GET, b"get a k\r\n", b"delete k\r\n", b"mg k v\r\n"])
@pytest.mark.parametrize("failure", ["late", "lost", "refused"])
def test_later_requests_for_a_key_wait_for_its_write(net: Network, failure: str, later: bytes) -> None:
    client = net.client()
    net.send(client, SET)
    net.asked(0)
    if failure == "late":
        net.wait(0.6)
    elif failure == "lost":
        net.lose(0)
    else:
        net.reply(0, b"SERVER_ERROR out of memory\r\n")
    assert net.asked(1) == SET
    net.send(net.client(), later)
    assert net.asked(0) == net.asked(1) == b""
    # Another key's requests do not wait.
    net.send(net.client(), b"delete other\r\n")
    assert net.asked(0) + net.asked(1) == b"delete other\r\n"
    net.reply(1, b"STORED\r\n" + b"DELETED\r\n" * (failure == "lost"))
    if failure == "refused":
        assert net.asked(0) == b"delete k\r\n"
        net.reply(0, b"DELETED\r\n" * 2)
    assert net.got(client) == b"STORED\r\n"
    # The server that lost the write is out of service: it has missed a write.
    assert b" k" in net.asked(failure == "lost")


def test_waiting_ends_at_the_deadline(net: Network) -> None:
    net.send(net.client(), SET)
    net.lose(0)
    assert net.asked(1) == SET
    waiting = net.client()
    net.send(waiting, GET)
    net.wait(0.3)
    number = net.engine.submit(GET, net.now)
    net.engine.discard_result(number)
    # The write's server is late too: the write ends, and the waiting requests begin.
    net.wait(0.3)
    net.wait(0.5)
    assert net.got(waiting).startswith(b"SERVER_ERROR ")


def test_they_begin_in_their_order(net: Network) -> None:
    first, second = net.client(), net.client()
    net.send(first, SET)
    net.reply(0, b"SERVER_ERROR no\r\n")
    net.asked(0)
    net.asked(1)
    net.send(first, GET + b"set k 0 0 1\r\n2\r\n")
    net.send(second, b"append k 0 0 1\r\n3\r\n")
    net.reply(1, b"STORED\r\n")
    assert net.asked(0) == b"delete k\r\n"
    net.reply(0, b"DELETED\r\n")
    assert net.asked(0) == GET + b"set k 0 0 1\r\n2\r\n" + b"append k 0 0 1\r\n3\r\n"


def test_a_write_that_waits_may_hold_the_key_next(net: Network) -> None:
    client = net.client()
    net.send(client, SET)
    net.reply(0, b"SERVER_ERROR no\r\n")
    net.send(client, b"touch k 1\r\n" + GET)
    net.asked(0)
    net.reply(1, b"STORED\r\n")
    assert net.asked(0) == b"delete k\r\n"
    net.reply(0, b"DELETED\r\n")
    net.asked(1)
    # Both have begun; the touch fails, and the get, which was sent before, does not wait for it.
    assert net.asked(0) == b"touch k 1\r\n" + GET
    net.reply(0, b"SERVER_ERROR no\r\nEND\r\n")
    assert net.asked(1) == b"touch k 1\r\n"
    net.send(client, GET)
    assert net.asked(0) == b""
    net.reply(1, b"TOUCHED\r\n")
    assert net.asked(0) == b"delete k\r\n"
    net.reply(0, b"DELETED\r\n")
    assert net.asked(0) == GET


def test_reads_and_servers_out_of_service_hold_nothing(net: Network) -> None:
    net.send(net.client(), GET)
    net.reply(0, b"SERVER_ERROR no\r\n")
    net.asked(0)
    net.asked(1)
    net.send(net.client(), SET)
    assert net.asked(0) == SET
    net.engine.set_server_state(0, 1)
    net.send(net.client(), b"delete j\r\n")
    net.send(net.client(), b"get j\r\n")
    assert net.asked(1) == b"delete j\r\nget j\r\n"


def test_incr_that_moves_to_the_other_copy_holds_its_key() -> None:
    net = network(Replicate(pool(2), copies=2), 2)
    first, second = pool(2).ring().owners(b"n", 2)
    client = net.client()
    net.send(client, b"incr n 1\r\n")
    net.wait(0.6)
    net.asked(first)
    assert net.asked(second) == b"incr n 1\r\n"
    net.send(client, b"set n 0 0 1\r\n0\r\n")
    assert net.asked(first) == net.asked(second) == b""
    net.reply(second, b"5\r\n")
    # The other copy is undone, and only then are both written.
    assert net.asked(first) == b"delete n\r\n"
    net.reply(first, b"4\r\nDELETED\r\n")
    assert net.got(client) == b"5\r\n"
    assert net.asked(first) == net.asked(second) == b"set n 0 0 1\r\n0\r\n"


def test_a_write_through_a_route_of_python_is_not_overtaken() -> None:
    """The route begins at the end of the turn, and may ask several servers one after the other."""

    class Twice:
        children = (single(0), single(1))

        def steps(self, request):
            yield Ask(0)
            return (yield Ask(1))

    route = ByCommand({"delete": Twice()}, default=single(0))
    net = network(route, 2)
    client = net.client()
    net.send(client, b"delete k\r\n" + GET)
    assert net.asked(0) == b"delete k\r\n"
    net.reply(0, b"DELETED\r\n")
    assert (net.asked(0), net.asked(1)) == (b"", b"delete k\r\n")
    net.reply(1, b"DELETED\r\n")
    assert net.asked(0) == GET
    net.reply(0, b"END\r\n")
    assert net.got(client) == b"DELETED\r\nEND\r\n"


def test_an_engine_with_waiting_requests_can_go(net: Network) -> None:
    client = net.client()
    net.send(client, SET)
    net.reply(0, b"SERVER_ERROR no\r\n")
    net.send(client, GET)
    net.engine.submit(GET, net.now)
    del net
