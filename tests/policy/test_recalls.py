"""Servers whose missed keys an earlier process of the proxy left: replayed only if nothing is in doubt."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from mcroute.policy import (
    Flush,
    Kinship,
    Pool,
    PoolRoute,
    Process,
    Replay,
    Seen,
    ServerStats,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.causes import FlushCause
from mcroute.policy.pasts import Past

PROCESS = Process(7, 1000, 5.0)
KEYS = frozenset({(b"k1", False), (b"azI=", True)})
PAST = Past(frozenset({("s0", 1)}), owes=True, process=PROCESS, keys=KEYS)
SAME = ServerStats(pid=7, uptime=1010)


def supervisor() -> Supervisor:
    pool = Pool.of("main", ["s0:1", "s1:1"])
    return Supervisor(compile_plan(PoolRoute(pool)), Random(1), SupervisorSettings())


def returned(s: Supervisor, stats: ServerStats, now: float = 15.0) -> object:
    """Server 0 answers its probe and its fence as this process; the next decision."""
    keys = s.take_recalled_keys().get(0)
    if keys is not None:
        # As the engine counts it, when the keys are noted.
        s.missed_writes(0, 1, now)
    while not s.tick(now):
        now += 0.1
    kin = s.identified(0, Seen(stats, now, now))
    assert kin is not Kinship.FOREIGN
    s.probe_answered(0, now)
    [*_, last] = s.fence_answered(0, (), now)
    return last


def test_the_same_process_is_replayed() -> None:
    s = supervisor()
    assert [decision.server for decision in s.recall([PAST], True, 10.0)] == [0]
    assert returned(s, SAME) == Replay(0)


def test_the_keys_are_given_once() -> None:
    s = supervisor()
    s.recall([PAST], True, 10.0)
    assert s.take_recalled_keys() == {0: KEYS}
    assert s.take_recalled_keys() == {}


@pytest.mark.parametrize(
    "past",
    [
        pytest.param([replace(PAST, keys=None)], id="keys unknown"),
        pytest.param([replace(PAST, process=None)], id="process unknown"),
        pytest.param([PAST, replace(PAST, owes=False)], id="two at the place"),
        pytest.param([replace(PAST, place=PAST.place | {("s9", 9)})], id="another place too"),
    ],
)
def test_whatever_is_in_doubt_is_flushed(past: list[Past]) -> None:
    s = supervisor()
    s.recall(past, True, 10.0)
    assert isinstance(returned(s, SAME), Flush)
    assert s.flush_cause(0) is FlushCause.UNKNOWN_PAST


@pytest.mark.parametrize(
    "stats",
    [
        pytest.param(ServerStats(pid=8, uptime=3), id="restarted"),
        pytest.param(ServerStats(pid=7, uptime=3), id="restarted, or set back to a snapshot"),
        pytest.param(ServerStats(pid=8, uptime=9000), id="another service"),
        pytest.param(ServerStats(), id="unknown"),
    ],
)
def test_another_process_is_flushed(stats: ServerStats) -> None:
    """Also one that was running before: the operator has started the proxy anew."""
    s = supervisor()
    s.recall([PAST], True, 10.0)
    assert isinstance(returned(s, stats), Flush)
    assert s.flush_cause(0) is FlushCause.OTHER_PROCESS


def test_the_next_process_gets_the_same_past() -> None:
    s = supervisor()
    s.recall([PAST], True, 10.0)
    [first, _] = s.remembered()
    assert (first.owes, first.process) == (True, PROCESS)


def test_the_process_is_forgotten_with_the_first_doubt() -> None:
    s = supervisor()
    s.recall([PAST], True, 10.0)
    s.missed_writes(0, 1, 11.0)
    s.identified(0, Seen(ServerStats(pid=9, uptime=3), 12.0, 12.0))
    assert s.remembered()[0].process is None


@pytest.mark.parametrize("is_trusting", [True, False])
def test_after_a_loss_of_power_servers_in_order_are_as_unlisted(is_trusting: bool) -> None:
    s = supervisor()
    pasts = [
        Past(frozenset({("s0", 1)}), owes=True, is_outdated=True),
        Past(frozenset({("s1", 1)}), owes=False, is_outdated=True),
    ]
    out = {decision.server for decision in s.recall(pasts, is_trusting, 10.0)}
    assert out == ({0} if is_trusting else {0, 1})


def test_a_server_that_returns_without_misses_is_replayed_after_a_later_miss() -> None:
    """It was fenced for lost connections, and another look at its process was the first one."""
    s = supervisor()
    s.recall([Past(frozenset({("s0", 1)}), owes=False, lost=frozenset({"1.1.1.1:1"}))], True, 10.0)
    now = 10.0
    s.tick(now)
    s.identified(0, Seen(SAME, now, now))
    s.probe_answered(0, now)
    s.fence_answered(0, (), now)
    assert s.serving == {0, 1}
    s.tripped(0, 20.0)
    s.missed_writes(0, 1, 20.0)
    assert returned(s, replace(SAME, uptime=1015), 20.0) == Replay(0)
