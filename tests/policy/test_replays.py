"""Servers that missed writes are probed often, and cleaned by deletes of these keys, or by a flush."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from mcroute.policy import (
    Fence,
    Flush,
    HealthSettings,
    Kinship,
    Pool,
    PoolRoute,
    Probe,
    Replay,
    Seen,
    ServerState,
    ServerStats,
    SetState,
    State,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.causes import FlushCause
from mcroute.policy.health import STALE_PROBES
from mcroute.policy.pasts import Past

UP, EJECTED, RETURNING = ServerState.UP, ServerState.EJECTED, ServerState.RETURNING
SETTINGS = SupervisorSettings(HealthSettings(jitter=0.0))
STALE_S = SETTINGS.health.stale_probe_s
EXACT = ServerStats(version="1.6.18", has_cas=True)


def seen(now: float, pid: int = 7, uptime: int = 1000) -> Seen:
    """The process that started 1000 s before the test."""
    return Seen(ServerStats(pid=pid, uptime=uptime + int(now)), now, now)


def supervisor(size: int = 4) -> Supervisor:
    """All processes are known."""
    pool = Pool.of("main", [f"s{i}:1" for i in range(size)])
    s = Supervisor(compile_plan(PoolRoute(pool)), Random(1), SETTINGS)
    for server in range(size):
        s.identified(server, seen(0.0, pid=server + 7))
    return s


def fenced(s: Supervisor, now: float, missed: int = 3) -> float:
    """Server 0 goes out, misses writes, answers its next probe, and is fenced except for the last answer."""
    s.tripped(0, now)
    s.missed_writes(0, missed, now)
    now = s.next_wakeup() or 0.0
    assert s.tick(now) == (Probe(0),)
    assert s.identified(0, seen(now)) is Kinship.SAME
    assert s.probe_answered(0, now) == (SetState(0, RETURNING), Fence(0, frozenset()))
    return now


def held_until(s: Supervisor, now: float) -> float:
    """The end of the ejection."""
    while not s.may_serve(0, now):
        now += 0.125
    return now


# ---- the replay ----


def test_the_keys_that_a_server_missed_are_deleted_before_it_serves() -> None:
    s = supervisor()
    now = held_until(s, fenced(s, 0.0))
    assert s.fence_answered(0, (), now) == (Replay(0),)
    assert s.state(0) is State.REPLAYING
    assert s.replays(0, now)
    # Two more were missed meanwhile, and are deleted as well.
    assert s.replayed(0, 5, 4, now, is_restored=True) == (SetState(0, UP, 5),)
    tally = s.tally(0)
    assert (tally.replays, tally.replayed_keys, tally.flushes, tally.returns) == (1, 4, 0, 1)
    assert s.remembered()[0].missed == 5


def test_what_is_settled_is_not_replayed_again() -> None:
    s = supervisor()
    now = held_until(s, fenced(s, 0.0))
    s.fence_answered(0, (), now)
    s.replayed(0, 5, 4, now, is_restored=True)
    s.tripped(0, 200.0)
    s.missed_writes(0, 5, 200.0)
    now = s.next_wakeup() or 0.0
    s.tick(now)
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (SetState(0, UP, 5),)


def test_a_replay_goes_on_as_long_as_it_makes_progress() -> None:
    s = supervisor()
    now = fenced(s, 0.0)
    s.fence_answered(0, (), now)
    for _ in range(9):
        now += 1.0
        assert s.tick(now) == ()
        assert s.replays(0, now)
    s.tick(now + SETTINGS.health.stage_timeout_s)
    assert s.state(0) is State.EJECTED
    assert not s.replays(0, now)


def test_a_replay_that_does_not_catch_up_gives_way_to_a_flush() -> None:
    s = supervisor()
    now = fenced(s, 0.0)
    s.fence_answered(0, (), now)
    until = now + SETTINGS.replay_timeout_s
    while now < until:
        assert s.replays(0, now)
        now += 1.0
    assert not s.replays(0, now)
    assert s.replay_failed(0, now) == (Flush(0),)
    assert s.flush_cause(0) is FlushCause.TOO_SLOW
    assert s.flush_answered(0, EXACT, now) == (SetState(0, UP),)


def test_a_replay_that_fails_is_tried_again_later() -> None:
    s = supervisor()
    now = fenced(s, 0.0)
    s.fence_answered(0, (), now)
    assert s.replay_failed(0, now) == (SetState(0, EJECTED),)
    now = s.next_wakeup() or 0.0
    assert s.tick(now) == (Probe(0),)
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (Replay(0),)


def test_a_link_that_is_lost_during_the_replay_ends_it() -> None:
    s = supervisor()
    now = fenced(s, 0.0)
    s.fence_answered(0, (), now)
    s.link_lost(0, "late", 1)
    assert not s.replays(0, now)
    assert s.replay_failed(0, now) == (SetState(0, EJECTED),)


def test_a_server_that_refuses_deletes_is_flushed() -> None:
    s = supervisor()
    now = fenced(s, 0.0)
    s.fence_answered(0, (), now)
    assert s.replay_failed(0, now, is_refused=True) == (Flush(0),)
    assert s.flush_cause(0) is FlushCause.REFUSED


# ---- the flush in its place ----


def test_a_journal_that_has_overflowed_is_not_replayed() -> None:
    s = supervisor()
    now = fenced(s, 0.0)
    s.missed_writes(0, 9, now, is_named=False)
    assert s.fence_answered(0, (), now) == (Flush(0),)
    assert s.flush_cause(0) is FlushCause.OVERFLOW
    s.flush_answered(0, EXACT, held_until(s, now))
    assert s.state(0) is State.UP
    # The journal is empty now, and names what is missed from here on.
    now = held_until(s, fenced(s, 200.0, missed=12))
    assert s.fence_answered(0, (), now) == (Replay(0),)


def test_a_journal_that_overflows_during_the_replay_gives_way_to_a_flush() -> None:
    s = supervisor()
    now = fenced(s, 0.0)
    s.fence_answered(0, (), now)
    s.missed_writes(0, 9, now, is_named=False)
    assert s.replay_failed(0, now) == (Flush(0),)


def test_a_process_that_has_come_since_the_misses_is_flushed() -> None:
    s = supervisor()
    s.tripped(0, 0.0)
    s.missed_writes(0, 3, 0.0)
    now = s.next_wakeup() or 0.0
    s.tick(now)
    assert s.identified(0, seen(now, pid=8, uptime=0)) is Kinship.RESTARTED
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (Flush(0),)
    assert s.flush_cause(0) is FlushCause.OTHER_PROCESS


def test_a_process_that_is_replaced_during_the_replay_is_flushed_on_its_next_return() -> None:
    s = supervisor()
    now = fenced(s, 0.0)
    s.fence_answered(0, (), now)
    s.identified(0, seen(now, pid=8, uptime=0))
    assert not s.can_be_replayed(0)
    assert s.replay_failed(0, now) == (SetState(0, EJECTED),)
    now = s.next_wakeup() or 0.0
    s.tick(now)
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (Flush(0),)


def test_a_restart_before_the_first_missed_write_is_no_reason_for_a_flush() -> None:
    s = supervisor()
    s.identified(0, Seen(ServerStats(pid=8, uptime=2), 5.0, 5.0))
    s.tripped(0, 6.0)
    s.missed_writes(0, 3, 6.0)
    now = s.next_wakeup() or 0.0
    s.tick(now)
    assert s.identified(0, Seen(ServerStats(pid=8, uptime=3), now, now)) is Kinship.SAME
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (Replay(0),)


def test_a_server_whose_process_was_never_seen_is_flushed() -> None:
    s = Supervisor(compile_plan(PoolRoute(Pool.of("main", ["a:1", "b:1"]))), Random(1), SETTINGS)
    s.tripped(0, 0.0)
    s.missed_writes(0, 3, 0.0)
    now = s.next_wakeup() or 0.0
    s.tick(now)
    s.identified(0, seen(now))
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (Flush(0),)


def test_a_server_of_an_earlier_process_that_owes_a_flush_is_not_replayed() -> None:
    s = supervisor(2)
    s.recall([Past(frozenset({("s0", 1)}), owes=True)], is_trusting=True, now=0.0)
    s.tick(0.0)
    s.probe_answered(0, 0.0)
    assert s.fence_answered(0, (), 0.0) == (Flush(0),)
    assert s.flush_cause(0) is FlushCause.UNKNOWN_PAST


# ---- frequent probes ----


def test_a_server_that_missed_a_write_is_probed_often_and_waits_no_longer_for_that() -> None:
    s = supervisor()
    s.tripped(0, 0.0)
    assert s.out_in_order == {0}
    assert s.next_wakeup() == 1.0
    s.missed_writes(0, 1, 0.25)
    assert s.out_in_order == frozenset()
    probes = []
    while len(probes) < 100:
        now = s.next_wakeup() or 0.0
        assert s.tick(now) == (Probe(0),)
        probes.append(now)
        s.probe_failed(0, now)
    gaps = [after - before for before, after in pairwise(probes)]
    assert probes[0] == 0.25 + STALE_S
    assert gaps == pytest.approx([STALE_S] * 99)


def test_a_server_that_missed_nothing_is_probed_less_and_less_often() -> None:
    s = supervisor()
    s.tripped(0, 0.0)
    waits = []
    for _ in range(6):
        before = s.servers(0.0)["s0:1"].state, s.next_wakeup() or 0.0
        s.tick(before[1])
        s.probe_failed(0, before[1])
        waits.append((s.next_wakeup() or 0.0) - before[1])
    assert waits == [2, 4, 8, 16, 30, 30]


def test_a_foreign_process_is_not_probed_often() -> None:
    s = supervisor()
    s.tripped(0, 0.0)
    s.missed_writes(0, 1, 0.0)
    now = s.next_wakeup() or 0.0
    s.tick(now)
    assert s.identified(0, seen(now, pid=99, uptime=5000)) is Kinship.FOREIGN
    s.probe_failed(0, now)
    assert (s.next_wakeup() or 0.0) - now == 2.0


def test_many_servers_that_missed_writes_share_the_rate_of_probes() -> None:
    size = 4 * STALE_PROBES
    s = supervisor(2 * size)
    for server in range(size):
        s.tripped(server, 0.0)
    for server in range(size):
        s.missed_writes(server, 1, 0.0)
    until, probes = 8.0, 0
    while (now := s.next_wakeup() or until) < until:
        for decision in s.tick(now):
            assert isinstance(decision, Probe)
            probes += 1
            s.probe_failed(decision.server, now)
    assert until * STALE_PROBES / STALE_S <= probes + size <= until * STALE_PROBES / STALE_S + 2 * size


# ---- held ----


def flapping() -> tuple[Supervisor, float]:
    """A server that goes out of service for the third time in a row, and answers a probe soon."""
    s = supervisor()
    now = 0.0
    for _ in range(2):
        s.tripped(0, now)
        now = s.next_wakeup() or 0.0
        s.tick(now)
        s.probe_answered(0, now)
        s.fence_answered(0, (), now)
        assert s.state(0) is State.UP
    ejected_at = now
    now = fenced(s, now)
    assert now == ejected_at + STALE_S
    return s, ejected_at


def test_a_server_that_flaps_is_cleaned_at_once_and_serves_later() -> None:
    s, ejected_at = flapping()
    now = ejected_at + STALE_S
    assert s.fence_answered(0, (), now) == (Replay(0),)
    assert not s.may_serve(0, now)
    assert s.replayed(0, 3, 2, now, is_restored=False) == (SetState(0, EJECTED, reason=None),)
    assert s.state(0) is State.EJECTED
    assert s.out_in_order == {0}
    assert s.next_wakeup() == ejected_at + 4.0
    # In its time it serves without another replay.
    now = ejected_at + 4.0
    assert s.tick(now) == (Probe(0),)
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (SetState(0, UP, 3),)
    assert s.tally(0).replays == 1


def test_what_a_held_server_misses_is_cleaned_soon_too() -> None:
    s, ejected_at = flapping()
    now = ejected_at + STALE_S
    s.fence_answered(0, (), now)
    s.replayed(0, 3, 2, now, is_restored=False)
    s.missed_writes(0, 4, now + 1)
    assert s.next_wakeup() == now + 1 + STALE_S
    now = s.next_wakeup() or 0.0
    s.tick(now)
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (Replay(0),)
    s.replayed(0, 4, 1, now, is_restored=False)
    assert s.next_wakeup() == ejected_at + 4.0


def test_a_flushed_server_is_held_as_well() -> None:
    s, ejected_at = flapping()
    now = ejected_at + STALE_S
    s.missed_writes(0, 3, now, is_named=False)
    assert s.fence_answered(0, (), now) == (Flush(0),)
    assert s.flush_answered(0, EXACT, now) == (SetState(0, EJECTED),)
    assert s.tally(0).flushes == 1
    assert s.next_wakeup() == ejected_at + 4.0


def test_a_panic_ends_the_wait_of_a_held_server() -> None:
    s, ejected_at = flapping()
    now = ejected_at + STALE_S
    s.fence_answered(0, (), now)
    s.replayed(0, 3, 2, now, is_restored=False)
    s.stale(0)
    decisions = [d for server in (1, 2) for d in s.tripped(server, now)]
    assert SetState(0, RETURNING) in decisions and Fence(0, frozenset()) in decisions
    assert s.fence_answered(0, (), now) == (SetState(0, UP, 3),)
