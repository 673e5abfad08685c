"""Requests that the driver answers: stats."""

import pytest

from mcroute.policy import PoolRoute

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture
def net() -> Network:
    return network(PoolRoute(pool(1)), 1)


@pytest.mark.python_face("an answer that comes too late is without effect")
def test_a_deferred_request_keeps_its_place(net: Network) -> None:
    client = net.client()
    net.send(client, b"get a\r\nstats\r\nstats servers \r\nversion\r\n")
    (first, line), (second, other) = net.engine.take_deferred()
    assert (line, other) == (b"stats", b"stats servers ")
    assert net.engine.take_deferred() == []
    net.engine.answer(second, b"END\r\n")
    net.engine.answer(first, b"STAT a 1\r\nEND\r\n")
    with pytest.raises(KeyError):
        net.engine.answer(first, b"END\r\n")
    net.turn()
    assert net.got(client) == b""
    net.reply(0, b"END\r\n")
    assert net.got(client) == b"END\r\nSTAT a 1\r\nEND\r\nEND\r\nVERSION 1.6.45\r\n"


def test_a_deferred_request_without_an_answer_ends_at_its_deadline(net: Network) -> None:
    client = net.client()
    net.send(client, b"stats\r\n")
    ((number, _),) = net.engine.take_deferred()
    net.wait(1.1)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    net.engine.answer(number, b"END\r\n")
    net.turn()
    assert net.got(client) == b""


def test_a_driver_that_comes_too_late_is_not_bothered(net: Network) -> None:
    client = net.client()
    net.send(client, b"stats\r\n")
    net.wait(0.9)
    net.send(client, b"stats servers\r\n")
    net.wait(0.2)
    assert [line for _, line in net.engine.take_deferred()] == [b"stats servers"]


@pytest.mark.parametrize("is_taken", [False, True])
def test_the_client_and_the_engine_may_go(net: Network, is_taken: bool) -> None:
    client = net.client()
    net.send(client, b"stats\r\n")
    taken = net.engine.take_deferred() if is_taken else []
    net.engine.close(client, net.now)
    for number, _ in taken:
        net.engine.answer(number, b"END\r\n")
    net.send(net.client(), b"stats\r\nstats\r\n")
    net.engine.take_deferred()
    net.send(net.client(), b"stats\r\n")
    del net


@pytest.mark.python_face("an answer that comes too late is without effect")
def test_an_answer_to_a_client_that_has_closed_reaches_no_other_client(net: Network) -> None:
    gone, other = net.client(), net.client()
    net.send(gone, b"stats\r\n")
    ((number, _),) = net.engine.take_deferred()
    net.engine.close(gone, net.now)
    net.send(other, b"stats\r\n")
    ((following, _),) = net.engine.take_deferred()
    assert following != number
    net.engine.answer(number, b"STAT a 1\r\nEND\r\n")
    net.turn()
    assert net.got(other) == b""
    with pytest.raises(KeyError):
        net.engine.answer(number, b"END\r\n")
    net.engine.answer(following, b"END\r\n")
    net.turn()
    assert net.got(other) == b"END\r\n"


def test_no_more_than_so_many_wait_for_the_driver(net: Network) -> None:
    first, second = net.client(), net.client()
    net.send(first, b"stats\r\n" * 1024)
    net.send(second, b"stats\r\n")
    assert net.got(second) == b"SERVER_ERROR too many requests wait for the server\r\n"
    # These requests have ended, but the driver still has their numbers.
    taken = net.engine.take_deferred()
    net.wait(1.1)
    assert net.got(first) == b"SERVER_ERROR timeout\r\n" * 1024
    net.send(second, b"stats\r\n")
    assert net.got(second) == b"SERVER_ERROR too many requests wait for the server\r\n"
    for number, _ in taken:
        net.engine.answer(number, b"END\r\n")
    net.send(second, b"stats\r\n")
    assert [line for _, line in net.engine.take_deferred()] == [b"stats"]
