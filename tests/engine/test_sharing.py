"""Two threads of a native loop and one server: the state that they share beside its state word."""

from __future__ import annotations

import importlib.util

import pytest

from mcroute.policy import Replicate, ServerState

from .network import pool

if importlib.util.find_spec("mcroute._loop.threads") is None:
    pytest.skip("no epoll", allow_module_level=True)

from .loop_network import LoopNetwork, pair

FIRST, SECOND = OWNERS = pool(3).ring().owners(b"k1", 2)
GET = b"get k1\r\n"
TIMEOUT_S = 0.5
TRIP_AFTER = 3


@pytest.fixture
def nets() -> tuple[LoopNetwork, LoopNetwork]:
    return pair(Replicate(pool(3), copies=2), 3)


def fail(net: LoopNetwork, times: int) -> None:
    """The first server does not answer so many requests."""
    for _ in range(times):
        net.send(net.client(), GET)
    net.wait(TIMEOUT_S)
    net.asked(FIRST)
    net.reply(SECOND, b"END\r\n" * net.asked(SECOND).count(GET))


def test_requests_of_another_thread_fail_over_when_the_ejection_is_confirmed(
    nets: tuple[LoopNetwork, LoopNetwork],
) -> None:
    one, other = nets
    other.wait(TIMEOUT_S / 2)
    client = other.client()
    other.send(client, GET)
    assert other.asked(FIRST) == GET
    fail(one, TRIP_AFTER)
    assert one.engine.out() == {FIRST}
    other.turn()
    # The supervisor may restore it.
    assert other.asked(SECOND) == b""
    one.engine.set_server_state(FIRST, ServerState.EJECTED)
    other.turn()
    assert other.asked(SECOND) == GET
    other.reply(SECOND, b"END\r\n")
    assert other.got(client) == b"END\r\n"


def test_failures_from_before_a_server_was_put_into_service_do_not_count(
    nets: tuple[LoopNetwork, LoopNetwork],
) -> None:
    one, _ = nets
    for _ in range(3):
        for net in nets:
            fail(net, TRIP_AFTER - 1)
        assert one.engine.out() == set()
        one.engine.set_server_state(FIRST, ServerState.UP)
    fail(one, TRIP_AFTER - 1)
    fail(one, 1)
    assert one.engine.out() == {FIRST}
    assert one.engine.stale() == set()


def attempts(*nets: LoopNetwork) -> int:
    """To connect to the first server, in vain, so far."""
    return sum(net.counted(FIRST)["connects_failed"] for net in nets)


def test_one_link_of_all_threads_tries_for_the_others(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    # The server no longer listens, for either thread.
    for net in nets:
        net.lose(FIRST)
        net.turn()
    # Requests wait for either connection: a failure of one does not delay the other.
    assert [attempts(net) for net in nets] == [1, 1]
    before, rounds = attempts(*nets), 0
    for _ in range(400):
        for net in nets:
            net.wait(0.01)
        more = attempts(*nets) - before
        assert more <= 1
        rounds, before = rounds + more, before + more
    # The pauses grow, to between 1 and 2 s; both threads share them.
    assert 3 <= rounds <= 12
    for net in nets:
        net.listen(FIRST)
    while not any(net.is_connected(FIRST) for net in nets):
        for net in nets:
            net.wait(0.01)
    # The other links connect at once after the first one, in the other thread too.
    for net in nets:
        net.turn()
    assert all(net.is_connected(FIRST) for net in nets)
    assert attempts(*nets) == before
