"""Each change of a server's state is one event: its states, its cause, its figures, its line in the log."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from mcroute.policy import (
    ByPrefix,
    Cause,
    Change,
    Decision,
    HitsFell,
    LogIntervals,
    Pool,
    PoolRoute,
    Process,
    Reason,
    ServerStats,
    StateChange,
    Upkeep,
    compile_plan,
)
from mcroute.policy.causes import FlushCause
from mcroute.policy.state_changes import FIGURES, MEANINGS
from mcroute.policy.warming import Stop
from mcroute.runtime.supervision import Supervision
from mcroute.runtime.warming_log import Filling, WarmingLog

from .test_supervision import SETTINGS, Watched, plan, supervised, watching

WHY = Reason(Cause.UNREACHABLE)
REASON = "it cannot be connected to"

# what, before, after, cause
Row = tuple[Change, str, str, str | None]
OUT: Row = (Change.OUT_OF_SERVICE, "up", "ejected", "unreachable")
PROBING: Row = (Change.PROBING, "ejected", "probing", "unreachable")
FENCING: Row = (Change.FENCING, "probing", "fencing", "unreachable")


class Scenario:
    """Moves the server `a:1`, one of three, through its states; no question is sent to it."""

    def __init__(self, supervision: Supervision) -> None:
        self.supervision = supervision
        self.supervisor = supervision.supervisor
        self.changes: list[StateChange] = []
        supervision.changes.listeners.append(self.changes.append)
        self.now = 0.0

    def does(self, *decisions: Decision) -> None:
        self.supervision._carry_out(decisions)

    def ejected(self) -> None:
        self.supervision.connect_failed(0, WHY)

    def probed(self) -> None:
        wakeup = self.supervisor.next_wakeup()
        assert wakeup is not None
        # The ejection is over, however long it was.
        self.now = max(wakeup, self.now) + 60
        self.does(*self.supervisor.tick(self.now))

    def answers(self) -> None:
        self.does(*self.supervisor.probe_answered(0, self.now))

    def fenced(self) -> None:
        self.does(*self.supervisor.fence_answered(0, (), self.now))

    def goes_out(self) -> None:
        self.ejected()
        self.probed()
        self.answers()

    def is_known(self) -> None:
        """The process is still the one that was seen last."""
        self.supervisor._records[0].process = Process(1, 0, 0.0)

    def misses_a_write(self, *, is_named: bool = True) -> None:
        self.supervisor.missed_writes(0, 1, self.now, is_named=is_named)

    def rows(self) -> list[Row]:
        causes = (change.cause.name.lower() if change.cause else None for change in self.changes)
        return [
            (change.what, change.before.value, change.after.value, cause)
            for change, cause in zip(self.changes, causes, strict=True)
        ]


def returned(scenario: Scenario) -> None:
    scenario.goes_out()
    scenario.fenced()


def probe_failed(scenario: Scenario) -> None:
    """Probes that fail are no change: the server is probed until it answers."""
    scenario.ejected()
    for _ in range(3):
        scenario.probed()
        scenario.does(*scenario.supervisor.probe_failed(0, scenario.now))


def fence_failed(scenario: Scenario) -> None:
    scenario.goes_out()
    scenario.does(*scenario.supervisor.fence_failed(0, scenario.now))


def fails_again(scenario: Scenario) -> None:
    scenario.goes_out()
    scenario.ejected()


def flushed(scenario: Scenario) -> None:
    """Its process is not known: it may be another one with old values."""
    scenario.goes_out()
    scenario.misses_a_write()
    scenario.fenced()
    decisions = scenario.supervisor.flush_answered(0, ServerStats(items=0), scenario.now)
    scenario.supervision.changes.flushed(0)
    scenario.does(*decisions)


def flush_failed(scenario: Scenario) -> None:
    scenario.goes_out()
    scenario.misses_a_write()
    scenario.fenced()
    scenario.does(*scenario.supervisor.flush_failed(0, scenario.now))


def replayed(scenario: Scenario) -> None:
    scenario.goes_out()
    scenario.is_known()
    scenario.misses_a_write()
    scenario.fenced()
    decisions = scenario.supervisor.replayed(0, 1, 7, scenario.now, is_restored=True)
    scenario.supervision.changes.replayed(0, 7)
    scenario.does(*decisions)


def is_down(scenario: Scenario) -> None:
    scenario.does(*scenario.supervisor._stages.take_down(0, 0.0))
    scenario.supervisor._stages.release(0, 0.0)
    scenario.probed()


def is_down_while_it_is_out(scenario: Scenario) -> None:
    scenario.ejected()
    scenario.does(*scenario.supervisor._stages.take_down(0, 0.0))


def is_slow(scenario: Scenario) -> None:
    engine: Any = scenario.supervision._engine
    for late in (1, 2):
        engine.late = late
        scenario.supervision.look_for_slow_servers()


def hits_fell(scenario: Scenario) -> None:
    scenario.supervision.changes.hits_fell(HitsFell(0, 0.1, 60, 0.9, 0.8))


def is_warmed(scenario: Scenario) -> None:
    log = WarmingLog(scenario.supervision._supervised, scenario.supervision.changes)
    log.begins(0, [1, 2], 500)
    log.ends(0, Filling(1.25, 9, 1, 2, 3, 4, 5))


def is_not_warmed(scenario: Scenario) -> None:
    log = WarmingLog(scenario.supervision._supervised, scenario.supervision.changes)
    log.stops(0, Filling(1.25, 9, 1, 2, 3, 4, 5), Stop.EVICTS)


WARMED = {"warming_s": 1.25, "keys_copied": 1, "keys_present": 2, "keys_gone": 3, "keys_undone": 4}
WARMED |= {"keys_skipped": 5}
FIRST_OUT = {"ejections_in_a_row": 1, "servers_up": 2, "servers": 3}

CASES: list[tuple[Callable[[Scenario], None], list[Row], dict[str, float]]] = [
    (Scenario.ejected, [OUT], FIRST_OUT),
    (probe_failed, [OUT, PROBING], {}),
    (Scenario.goes_out, [OUT, PROBING, FENCING], {}),
    (fence_failed, [OUT, PROBING, FENCING, (Change.WAITING, "fencing", "ejected", "unreachable")], {}),
    (fails_again, [OUT, PROBING, FENCING, (Change.WAITING, "fencing", "ejected", "unreachable")], {}),
    (
        returned,
        [OUT, PROBING, FENCING, (Change.RETURNED, "fencing", "up", "unreachable")],
        {"deleted_keys": 0, "flushes": 0},
    ),
    (
        flushed,
        [
            *(OUT, PROBING, FENCING),
            (Change.FLUSHING, "fencing", "flushing", "other_process"),
            (Change.FLUSHED, "flushing", "flushing", "other_process"),
            (Change.RETURNED, "flushing", "up", "unreachable"),
        ],
        {"deleted_keys": 0, "flushes": 1},
    ),
    (
        flush_failed,
        [
            *(OUT, PROBING, FENCING),
            (Change.FLUSHING, "fencing", "flushing", "other_process"),
            (Change.WAITING, "flushing", "ejected", "unreachable"),
        ],
        {},
    ),
    (
        replayed,
        [
            *(OUT, PROBING, FENCING),
            (Change.REPLAYING, "fencing", "replaying", "unreachable"),
            (Change.REPLAYED, "replaying", "replaying", None),
            (Change.RETURNED, "replaying", "up", "unreachable"),
        ],
        {"deleted_keys": 7, "flushes": 0},
    ),
    (
        is_down,
        [
            (Change.OUT_OF_SERVICE, "up", "down", "down"),
            (Change.PROBING, "down", "probing", "down"),
        ],
        {},
    ),
    (is_down_while_it_is_out, [OUT, (Change.WAITING, "ejected", "down", "down")], {}),
    (is_slow, [(Change.SLOW, "up", "slow", None)], {}),
    (
        hits_fell,
        [(Change.HITS_FELL, "up", "up", None)],
        {"hit_share": 0.1, "reads": 60, "others_hit_share": 0.9, "hit_share_before": 0.8},
    ),
    (is_warmed, [(Change.WARMING, "up", "up", None), (Change.WARMED, "up", "up", None)], WARMED),
    (is_not_warmed, [(Change.WARMING_STOPPED, "up", "up", "evicts")], WARMED),
]


class Late(Watched):
    late = 0

    def slowness(self) -> dict[int, tuple[int, int]]:
        return {0: (self.late, 0)}


@pytest.mark.parametrize(("play", "rows", "figures"), CASES, ids=[case[0].__name__ for case in CASES])
def test_each_transition_is_announced(
    play: Callable[[Scenario], None],
    rows: list[Row],
    figures: dict[str, float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    found: list[StateChange] = []
    caplog.set_level(logging.DEBUG, "mcroute")

    def run(engine: Watched, supervision: Supervision) -> None:
        scenario = Scenario(supervision)
        play(scenario)
        assert scenario.rows() == rows
        found.extend(scenario.changes)

    supervised(plan("a", "b", "c"), run, kind=Late)
    last = dict(found[-1].figures)
    last.pop("out_s", None)
    assert last == figures
    assert {(change.server, change.pools) for change in found} == {("a:1", ("main",))}
    assert all(tuple(change.figures) == FIGURES.get(change.what, ()) for change in found)
    # The log's records are the events.
    assert [r.state_change for r in caplog.records if hasattr(r, "state_change")] == found
    assert all(str(change) in caplog.messages for change in found)
    # Each state is the one that the event before has led to.
    assert [change.before for change in found[1:]] == [change.after for change in found[:-1]]
    assert json.loads(json.dumps(found[0].as_json()))["time"].endswith("Z")


def test_every_kind_has_a_meaning_for_the_docs() -> None:
    assert MEANINGS.keys() == set(Change)


def test_a_panic_is_an_event_of_its_pool() -> None:
    def run(engine: Watched, supervision: Supervision) -> None:
        scenario = Scenario(supervision)
        for server in (0, 1):
            supervision.connect_failed(server, WHY)
        panic = next(change for change in scenario.changes if change.what is Change.PANIC_BEGINS)
        assert panic.as_json() | {"time": ""} == {
            "time": "",
            "event": "panic_begins",
            "server": None,
            "pools": ["main"],
            "before": "normal",
            "after": "panic",
            "cause": None,
            "reason": None,
            "figures": {"servers_bad": 2, "servers": 2},
        }
        supervision.connected(0)
        supervision.changes.panic("main", False)
        assert scenario.rows()[-1] == (Change.PANIC_ENDS, "panic", "normal", None)
        assert all(tuple(change.figures) == FIGURES[change.what] for change in scenario.changes)

    supervised(plan("a", "b"), run)


def test_a_server_that_leaves_the_plan_while_it_is_out_is_announced() -> None:
    """So that nobody waits for its return. A server with its name and another address begins anew."""

    def run(engine: Watched, supervision: Supervision) -> None:
        scenario = Scenario(supervision)
        scenario.ejected()
        another = plan("b", "c")
        supervision.install(another, engine.admit(another), (), None)
        engine.install(another)
        assert scenario.rows() == [OUT, (Change.REMOVED, "ejected", "ejected", "unreachable")]
        assert scenario.changes[-1].server == "a:1"
        assert not supervision.changes.is_out(0)

    supervised(plan("a", "b", "c"), run)


@pytest.mark.parametrize(("interval_s", "times"), [(0.0, 5), (3600.0, 1)])
def test_steps_that_a_server_repeats_are_announced_now_and_then(interval_s: float, times: int) -> None:
    async def run() -> None:
        engine = Watched(plan("a", "b", "c"))
        engine.notes = []
        upkeep = Upkeep(log=LogIntervals(repeated_step_s=interval_s))
        scenario = Scenario(watching(plan("a", "b", "c"), engine, {}, SETTINGS, upkeep))
        scenario.ejected()
        for _ in range(5):
            scenario.probed()
            scenario.answers()
            scenario.does(*scenario.supervisor.fence_failed(0, scenario.now))
        assert [row for row in scenario.rows() if row == FENCING] == [FENCING] * times
        scenario.probed()
        scenario.answers()
        scenario.fenced()
        # In and out of service are always events, and so are the steps after that.
        assert scenario.rows()[-1][:1] == (Change.RETURNED,)
        scenario.goes_out()
        assert [row[0] for row in scenario.rows()[-3:]] == [row[0] for row in (OUT, PROBING, FENCING)]
        scenario.supervision.close()

    asyncio.run(run())


def test_a_server_of_two_pools_names_both() -> None:
    first, second = (Pool.of(name, ["a:1", f"{name}:1"]) for name in ("p", "q"))
    both = compile_plan(ByPrefix({"q:": PoolRoute(second)}, default=PoolRoute(first)))

    def run(engine: Watched, supervision: Supervision) -> None:
        scenario = Scenario(supervision)
        supervision.connect_failed(both.server_ids["a:1"], WHY)
        assert scenario.changes[0].pools == ("p", "q")
        assert scenario.changes[0].reason == REASON

    supervised(both, run)


def test_why_a_flush_is_needed_is_its_cause() -> None:
    def run(engine: Watched, supervision: Supervision) -> None:
        scenario = Scenario(supervision)
        scenario.goes_out()
        scenario.is_known()
        scenario.misses_a_write(is_named=False)
        scenario.fenced()
        last = scenario.changes[-1]
        assert (last.what, last.cause, last.reason) == (
            Change.FLUSHING,
            FlushCause.OVERFLOW,
            FlushCause.OVERFLOW.value,
        )

    supervised(plan("a", "b", "c"), run)
