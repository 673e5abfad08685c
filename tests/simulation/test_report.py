"""Figures of a run: phases, effects of faults, the course over time."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from mcroute.policy import Pool, Replicate, compile_plan
from mcroute.simulation.absences import Absence
from mcroute.simulation.faults import Fault
from mcroute.simulation.history import History
from mcroute.simulation.report import Effect, report_of
from mcroute.simulation.workload import Served, Workload
from mcroute.simulation.world import Outcome, Scenario

BEGUN = 1000.0
SCENARIO = Scenario(
    seed=1,
    plan=compile_plan(Replicate(Pool.of("main", ["a:1", "b:1", "c:1"]), 2)),
    workload=Workload(duration_s=10),
    faults=(Fault("kill", "a:1", 2, 3),),
)


def served(at: float, took: float = 0.01, hit: bool | None = True, failed: bool = False) -> Served:
    return Served("p", "k", BEGUN + at, BEGUN + at + took, hit, failed, False)


def outcome(
    *requests: Served, absences: tuple[Absence, ...] = (), queries: tuple[float, ...] = ()
) -> Outcome:
    return Outcome(
        history=History(), met=Counter(), begun_at=BEGUN, ended_at=BEGUN + 20, unsettled=[], failures=[],
        ejections=[], contents={}, absences=list(absences), served=list(requests),
        queries=[BEGUN + at for at in queries],
    )  # fmt: skip


def absence(begin: float, end: float | None, server: str = "a:1", flushes: int = 1) -> Absence:
    return Absence("p", server, BEGUN + begin, "why", None if end is None else BEGUN + end, flushes, 4)


def test_phases_are_before_during_and_after_a_fault() -> None:
    requests = [served(at) for at in (0, 1, 2, 4.9, 5, 9)]
    phases = report_of(SCENARIO, outcome(*requests, queries=(1, 1.5, 6))).phases
    assert [(p.name, p.begins_s, p.ends_s, p.figures.requests) for p in phases] == [
        ("before", 0, 2, 2),
        ("kill of a:1", 2, 5, 2),
        ("after", 5, 10, 2),
    ]
    assert [phase.figures.database_per_s for phase in phases] == [1, 0, 0.2]


def test_faults_that_overlap_have_phases_of_their_own() -> None:
    faults = (Fault("kill", "a:1", 2, 4), Fault("stop", "b:1", 4, 4), Fault("slow", "a:1", 9, 5))
    phases = report_of(replace(SCENARIO, faults=faults), outcome()).phases
    assert [(phase.name, phase.begins_s) for phase in phases] == [
        ("before", 0),
        ("kill of a:1", 2),
        ("kill of a:1 + stop of b:1", 4),
        ("stop of b:1", 6),
        ("between", 8),
        ("slow of a:1", 9),
    ]


def test_figures() -> None:
    requests = [
        served(0, 0.001), served(0.1, 0.2, hit=False), served(0.2, 0.3, failed=True, hit=False),
        served(0.3, 0.004, hit=None),
    ]  # fmt: skip
    [before, during, _] = report_of(SCENARIO, outcome(*requests)).phases
    assert before.figures.hit_ratio == pytest.approx(1 / 3)
    assert (before.figures.errors, before.figures.slow, before.figures.lost) == (1, 2, 0)
    assert (before.figures.p50_ms, before.figures.p99_ms) == (4.0, 300.0)
    assert (during.figures.hit_ratio, during.figures.p50_ms) == (None, None)


@pytest.mark.parametrize(
    ("absences", "effects"),
    [
        ((), [Effect("p", "a:1", None, None, 0, 0, 0, "")]),
        ((absence(2.5, 7),), [Effect("p", "a:1", 0.5, 2.0, 1, 1, 4, "why")]),
        ((absence(2.5, None),), [Effect("p", "a:1", 0.5, None, 1, 1, 4, "why")]),
        ((absence(1, 7),), [Effect("p", "a:1", -1.0, 2.0, 1, 1, 4, "why")]),
        ((absence(0.5, 1.5),), [Effect("p", "a:1", None, None, 0, 0, 0, "")]),
        ((absence(2.5, 3), absence(4, 6)), [Effect("p", "a:1", 0.5, 1.0, 2, 2, 8, "why")]),
        # Another server that goes out meanwhile; not one that goes out after the fault.
        (
            (absence(2.5, 7), absence(3, 8, "b:1", 0), absence(6, 8, "c:1")),
            [Effect("p", "a:1", 0.5, 2.0, 1, 1, 4, "why"), Effect("p", "b:1", 1.0, 3.0, 1, 0, 4, "why")],
        ),
    ],
)
def test_effects(absences: tuple[Absence, ...], effects: list[Effect]) -> None:
    [fault] = report_of(SCENARIO, outcome(served(0), absences=absences)).faults
    assert list(fault.effects) == effects


def test_a_later_fault_of_a_server_has_the_later_absences() -> None:
    faults = (Fault("kill", "a:1", 1, 1), Fault("kill", "a:1", 5, 1))
    found = report_of(
        replace(SCENARIO, faults=faults), outcome(served(0), absences=(absence(1.5, 3), absence(5.5, 8)))
    )
    assert [[e.out_after_s for e in fault.effects] for fault in found.faults] == [[0.5], [0.5]]


def test_a_fault_counts_requests_until_its_server_is_back() -> None:
    requests = [served(at, failed=True) for at in (1, 2.5, 6, 8)]
    [fault] = report_of(SCENARIO, outcome(*requests, absences=(absence(2.5, 7),))).faults
    assert (fault.until_s, fault.figures.requests, fault.figures.errors) == (7, 2, 2)


def test_the_course_covers_the_run() -> None:
    report = report_of(SCENARIO, outcome(served(0), served(9.99)))
    assert sum(moment.figures.requests for moment in report.moments) == 2
    assert report.moments[0].at_s == report.step_s / 2
    assert json.loads(json.dumps(report.as_dict()))["duration_s"] == 10


def test_a_run_without_a_workload_has_no_report() -> None:
    with pytest.raises(ValueError, match="no workload"):
        report_of(replace(SCENARIO, workload=None), outcome())
