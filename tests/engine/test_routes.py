"""Users' routes in Python: what their generators yield is done, what becomes of it is sent to them."""

import gc
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass

import pytest

from mcroute.policy import Outcome, Pool, PoolRoute, Server
from mcroute.policy.steps import Ask, AskAll, Wait

from .network import Network, network

pytestmark = pytest.mark.usefixtures("driver")

GET = b"get k\r\n"
X, Y = b"VALUE k 0 1\r\nx\r\nEND\r\n", b"VALUE k 0 1\r\ny\r\nEND\r\n"
FAILED = b"SERVER_ERROR a route failed\r\n"


def child(index: int) -> PoolRoute:
    return PoolRoute(Pool(f"p{index}", (Server(f"s{index}", "127.0.0.1", index + 1),)))


@dataclass
class Custom:
    """A route whose steps are any generator function."""

    function: Callable[..., Generator]
    children: tuple = (child(0), child(1))

    def steps(self, request: object) -> Generator:
        return self.function(request)


def routed(function: Callable[..., Generator]) -> Network:
    return network(Custom(function), 2)


def test_one_child_after_the_other() -> None:
    seen = []

    def steps(request):
        seen.append((request.key, request.group.name))
        first = yield Ask(0)
        seen.append((first.outcome, first.data))
        return (yield Ask(1))

    net = routed(steps)
    client = net.client()
    net.send(client, GET)
    assert (net.asked(0), net.asked(1)) == (GET, b"")
    net.reply(0, b"END\r\n")
    assert net.asked(1) == GET
    net.reply(1, X)
    assert net.got(client) == X
    assert seen == [(b"k", "READ"), (Outcome.MISS, b"END\r\n")]


@pytest.mark.parametrize(
    ("need", "replies", "expected"),
    [
        (2, [(1, Y), (0, X)], [X, Y]),
        (1, [(1, Y)], [None, Y]),
        # Too few are good: the route goes on when all have ended.
        (2, [(1, b"SERVER_ERROR no\r\n"), (0, X)], [X, b"SERVER_ERROR no\r\n"]),
    ],
)
def test_all_children_at_once(
    need: int, replies: list[tuple[int, bytes]], expected: list[bytes | None]
) -> None:
    got = []

    def steps(request):
        answers = yield AskAll((0, 1), need)
        got.extend(answer and answer.data for answer in answers)
        return next(answer for answer in answers if answer is not None)

    net = routed(steps)
    client = net.client()
    net.send(client, GET)
    for server, reply in replies:
        assert net.got(client) == b""
        net.reply(server, reply)
    assert got == expected
    assert net.got(client) == next(data for data in expected if data is not None)
    # The asks that had not ended run on, and their replies are read from the link.
    if need == 1:
        net.reply(0, X)
    net.send(client, GET)
    assert (net.asked(0), net.asked(1)) == (GET + GET, GET + GET)


def test_a_route_waits_for_its_time() -> None:
    def steps(request):
        yield Wait(0.25)
        return (yield Ask(0))

    net = routed(steps)
    client = net.client()
    net.send(client, GET)
    assert net.engine.next_wakeup() == net.now + 0.25
    net.wait(0.2)
    assert net.asked(0) == b""
    net.wait(0.1)
    assert net.asked(0) == GET
    net.reply(0, X)
    assert net.got(client) == X


def test_the_deadline_closes_the_generator() -> None:
    closed = []

    def steps(request):
        try:
            yield Wait(100)
        finally:
            closed.append(request.key)

    net = routed(steps)
    client = net.client()
    net.send(client, GET)
    net.wait(1.1)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    assert closed == [b"k"]


@pytest.mark.parametrize(
    ("request_", "outcome", "answer"),
    [
        (GET, Outcome.MISS, b"END\r\n"),
        (GET, Outcome.EJECTED, b"SERVER_ERROR server is out of service\r\n"),
        (b"set k 0 0 1\r\nx\r\n", Outcome.STORED, b"STORED\r\n"),
        (b"set k 0 0 1\r\nx\r\n", Outcome.MISS, b"NOT_STORED\r\n"),
        (b"ms k 1\r\nx\r\n", Outcome.STORED, b"HD\r\n"),
        (b"delete k\r\n", Outcome.DELETED, b"DELETED\r\n"),
        (b"touch k 0\r\n", Outcome.TOUCHED, b"TOUCHED\r\n"),
        (b"delete k noreply\r\n", Outcome.DELETED, b""),
    ],
)
def test_an_outcome_is_answered_in_plain_words(request_: bytes, outcome: Outcome, answer: bytes) -> None:
    def steps(request):
        return outcome
        yield

    net = routed(steps)
    client = net.client()
    net.send(client, request_)
    assert net.got(client) == answer


def raising(request):
    raise RuntimeError("steps")
    yield


def asking_nobody(request):
    yield AskAll((), 0)


def asking_too_far(request):
    yield Ask(2)


def yielding_nonsense(request):
    yield 7


def returning_nonsense(request):
    return 7
    yield


def returning_a_hit(request):
    return Outcome.HIT
    yield


def raising_later(request):
    yield Ask(0)
    raise RuntimeError("later")


def no_generator(request):
    raise RuntimeError("at once")


@pytest.mark.parametrize(
    "function",
    [
        raising, asking_nobody, asking_too_far, yielding_nonsense, returning_nonsense, returning_a_hit,
        raising_later, no_generator,
    ],
)  # fmt: skip
def test_a_route_that_fails_is_logged_and_its_request_an_error(
    function: Callable[..., Generator], caplog: pytest.LogCaptureFixture
) -> None:
    net = routed(function)
    client = net.client()
    net.send(client, GET)
    if function is raising_later:
        net.reply(0, X)
    assert net.got(client) == FAILED
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Custom" in caplog.text
    net.send(client, b"version\r\n")
    assert net.got(client).startswith(b"VERSION")


def test_each_key_of_a_multiget_has_its_own_steps() -> None:
    def steps(request):
        if request.key == b"skip":
            return Outcome.MISS
        return (yield Ask(0))

    net = routed(steps)
    client = net.client()
    net.send(client, b"get a skip b\r\n")
    assert net.asked(0) == b"get a\r\nget b\r\n"
    net.reply(0, b"END\r\nVALUE b 0 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE b 0 1\r\nx\r\nEND\r\n"


def test_a_route_goes_on_after_its_client_has_closed() -> None:
    ended = []

    def steps(request):
        yield Ask(0)
        reply = yield Ask(1)
        ended.append(reply.data)
        return reply

    net = routed(steps)
    client = net.client()
    net.send(client, b"delete k\r\n")
    net.engine.close(client, net.now)
    net.reply(0, b"NOT_FOUND\r\n")
    net.reply(1, b"DELETED\r\n")
    assert ended == [b"DELETED\r\n"]


@pytest.mark.parametrize("is_cyclic", [False, True])
def test_an_engine_that_is_freed_closes_its_generators(is_cyclic: bool) -> None:
    closed = []

    def steps(request):
        try:
            yield Ask(0)
        finally:
            closed.append(request.key)

    net = routed(steps)
    client = net.client()
    net.send(client, GET)
    net.engine.receive(client, b"get later\r\n", net.now)
    if is_cyclic:
        # Then the garbage collector clears the engine's attributes before the engine is freed.
        net.itself = net
    del net
    gc.collect()
    assert closed == [b"k"]


def test_a_reply_outlives_the_engine() -> None:
    kept = []

    def steps(request):
        kept.append((yield Ask(0)))
        return kept[0]

    net = routed(steps)
    net.send(net.client(), GET)
    net.reply(0, X)
    del net
    gc.collect()
    assert (kept[0].outcome, kept[0].data) == (Outcome.HIT, X)


def test_a_route_that_makes_work_for_itself_without_end_holds_up_nobody() -> None:
    def steps(request):
        while True:
            yield Ask(0)

    net = routed(steps)
    net.engine.set_server_state(0, 1)
    client, other = net.client(), net.client()
    net.send(client, GET)
    assert net.got(client) == b""
    net.send(other, b"version\r\n")
    assert net.got(other).startswith(b"VERSION ")
    net.wait(2.0)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
