"""Requests of the embedding process: no session, results as objects, each as soon as it is known."""

import pytest

from mcroute.policy import Outcome, PoolRoute

from .network import Network, pool

HIT, MISS, STORED, NUMBER = Outcome.HIT, Outcome.MISS, Outcome.STORED, Outcome.NUMBER


@pytest.fixture
def net() -> Network:
    return Network(PoolRoute(pool(1)), 1)


@pytest.mark.parametrize(
    ("request_", "reply", "outcome", "result"),
    [
        (b"get a\r\n", b"VALUE a 5 2\r\n\r\n\r\nEND\r\n", HIT, [(b"a", 5, None, b"\r\n")]),
        (b"gets a\r\n", b"VALUE a 0 1 77\r\nx\r\nEND\r\n", HIT, [(b"a", 0, 77, b"x")]),
        (b"get a\r\n", b"END\r\n", MISS, []),
        (b"get a b\r\n", b"VALUE b 1 1\r\ny\r\nEND\r\n", HIT, [(b"b", 1, None, b"y")]),
        (b"get a b\r\n", b"END\r\n", MISS, []),
        (b"incr a 1\r\n", b"8\r\n", NUMBER, 8),
        (b"incr a 1\r\n", b"NOT_FOUND\r\n", Outcome.NOT_FOUND, b"NOT_FOUND"),
        (b"set a 0 0 1\r\nx\r\n", b"STORED\r\n", STORED, b"STORED"),
        (b"get a\r\n", b"SERVER_ERROR no\r\n", Outcome.REFUSED_BY_SERVER, b"SERVER_ERROR no"),
        (b"get a b\r\n", b"SERVER_ERROR no\r\n", Outcome.REFUSED_BY_SERVER, b"SERVER_ERROR no"),
    ],
)  # fmt: skip
def test_results_of_calls(
    net: Network, request_: bytes, reply: bytes, outcome: Outcome, result: object
) -> None:
    number = net.engine.submit(request_, net.now)
    net.turn()
    assert net.asked(0) == request_
    assert net.engine.take_results() == []
    net.reply(0, reply)
    assert net.engine.take_results() == [(number, outcome, result)]
    assert net.engine.take_results() == []


@pytest.mark.parametrize("request_", [b"get a\r\n", b"get a b\r\n"])
def test_errors_are_not_misses(net: Network, request_: bytes) -> None:
    lost = net.engine.submit(request_, net.now)
    net.lose(0)
    assert net.engine.take_results() == [(lost, Outcome.LOST, b"SERVER_ERROR connection to the server lost")]
    net.engine.open_link(0)
    late = net.engine.submit(request_, net.now)
    net.wait(1.1)
    assert net.engine.take_results() == [(late, Outcome.TIMEOUT, b"SERVER_ERROR timeout")]


def test_results_come_in_the_order_of_the_replies() -> None:
    net = Network(PoolRoute(pool(2)), 2)
    numbers = {
        server: net.engine.submit(b"get %s\r\n" % key, net.now) for server, key in keys_of(net).items()
    }
    net.turn()
    net.reply(1, b"END\r\n")
    net.reply(0, b"END\r\n")
    assert [number for number, _, _ in net.engine.take_results()] == [numbers[1], numbers[0]]


def keys_of(net: Network) -> dict[int, bytes]:
    ring = pool(2).ring()
    return {ring.owner(b"k%d" % i): b"k%d" % i for i in range(20)}


@pytest.mark.parametrize("is_late", [False, True])
def test_a_forgotten_call_has_no_result(net: Network, is_late: bool) -> None:
    number = net.engine.submit(b"get a\r\n", net.now)
    if is_late:
        net.reply(0, b"END\r\n")
    net.engine.discard_result(number)
    if not is_late:
        net.reply(0, b"VALUE a 0 1\r\nx\r\nEND\r\n")
    assert net.engine.take_results() == []
    with pytest.raises(KeyError):
        net.engine.discard_result(number)
    # The link is in step: the next call gets its own reply.
    following = net.engine.submit(b"get b\r\n", net.now)
    net.reply(0, b"VALUE b 0 1\r\ny\r\nEND\r\n")
    assert net.engine.take_results() == [(following, HIT, [(b"b", 0, None, b"y")])]


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"get a",
        b"get a\r\nget b\r\n",
        b"get \x01\r\n",
        b"set a 0 0 2\r\nx\r\n",
        b"nonsense\r\n",
        b"version\r\n",
        b"stats\r\n",
        b"set a 0 0 1 noreply\r\nx\r\n",
        b"mg a v q\r\n",
    ],
)
def test_bytes_that_are_not_one_request_are_refused(net: Network, request_: bytes) -> None:
    with pytest.raises(ValueError):
        net.engine.submit(request_, net.now)
    net.turn()
    assert net.asked(0) == b""


def test_calls_are_bounded(net: Network) -> None:
    with pytest.raises(OverflowError, match="65536"):
        for _ in range(70_000):
            net.engine.submit(b"get a\r\n", net.now)
    net.lose(0)
    assert len(net.engine.take_results()) == 65536
    net.engine.submit(b"get a\r\n", net.now)


def test_an_engine_with_calls_in_flight_can_go(net: Network) -> None:
    net.engine.submit(b"get a\r\n", net.now)
    net.engine.submit(b"get b c\r\n", net.now)
    net.reply(0, b"END\r\n")
    net.engine.discard_result(net.engine.submit(b"get d\r\n", net.now))
    del net
