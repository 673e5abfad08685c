"""Requests that the driver answers: stats."""

import pytest

from mcroute.policy import PoolRoute

from .network import Network, pool


@pytest.fixture
def net() -> Network:
    return Network(PoolRoute(pool(1)), 1)


def test_what_is_handed_over_keeps_its_place(net: Network) -> None:
    client = net.client()
    net.send(client, b"get a\r\nstats\r\nstats servers \r\nversion\r\n")
    (first, line), (second, other) = net.engine.take_handed()
    assert (line, other) == (b"stats", b"stats servers ")
    assert net.engine.take_handed() == []
    net.engine.answer(second, b"END\r\n")
    net.engine.answer(first, b"STAT a 1\r\nEND\r\n")
    with pytest.raises(KeyError):
        net.engine.answer(first, b"END\r\n")
    net.turn()
    assert net.got(client) == b""
    net.reply(0, b"END\r\n")
    assert net.got(client) == b"END\r\nSTAT a 1\r\nEND\r\nEND\r\nVERSION 1.6.45-mcroute\r\n"


def test_what_is_not_answered_ends_at_its_deadline(net: Network) -> None:
    client = net.client()
    net.send(client, b"stats\r\n")
    ((number, _),) = net.engine.take_handed()
    net.wait(1.1)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    net.engine.answer(number, b"END\r\n")
    net.turn()
    assert net.got(client) == b""


@pytest.mark.parametrize("is_taken", [False, True])
def test_the_client_and_the_engine_may_go(net: Network, is_taken: bool) -> None:
    client = net.client()
    net.send(client, b"stats\r\n")
    taken = net.engine.take_handed() if is_taken else []
    net.engine.close(client, net.now)
    for number, _ in taken:
        net.engine.answer(number, b"END\r\n")
    net.send(net.client(), b"stats\r\nstats\r\n")
    net.engine.take_handed()
    net.send(net.client(), b"stats\r\n")
    del net
