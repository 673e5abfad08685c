"""Makes a failing scenario smaller: fewer faults, fewer operations, until nothing more can be left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from .checker import Violation, violations
from .world import Outcome, Scenario, run

__all__ = ("Shrunk", "shrink")

T = TypeVar("T")


class Shrunk:
    """The smallest scenario so far that breaks one of `laws`, with its outcome; `runs` counts attempts."""

    def __init__(self, scenario: Scenario, laws: frozenset[str]) -> None:
        self.scenario: Scenario = scenario
        self.laws = laws
        self.runs: int = 0
        self.outcome: Outcome
        self.violations: list[Violation] = []

    def fails(self, scenario: Scenario) -> bool:
        """Whether the scenario breaks one of the laws; then it is the smallest one."""
        self.runs += 1
        outcome = run(scenario)
        found = [violation for violation in violations(scenario, outcome) if violation.law in self.laws]
        if found:
            self.scenario, self.outcome, self.violations = scenario, outcome, found
        return bool(found)


def shrink(
    scenario: Scenario,
    laws: frozenset[str],
    runs_max: int = 200,
    on_progress: Callable[[Shrunk], None] = lambda shrunk: None,
) -> Shrunk:
    """Returns a smaller scenario that breaks one of `laws` too, after at most `runs_max` runs.

    Raises ValueError if the scenario itself breaks none.
    """
    shrunk = Shrunk(scenario, laws)
    if not shrunk.fails(scenario):
        raise ValueError(f"the scenario of seed {scenario.seed} breaks none of {', '.join(sorted(laws))}")
    size = None
    while shrunk.runs < runs_max and size != (size := _size(shrunk.scenario)):
        for smaller in _attempts(shrunk):
            if shrunk.runs >= runs_max:
                break
            shrunk.fails(smaller)
            on_progress(shrunk)
    return shrunk


def _size(scenario: Scenario) -> tuple[int, int]:
    return len(scenario.faults), len(scenario.operations)


def _attempts(shrunk: Shrunk) -> Iterator[Scenario]:
    """Smaller scenarios than the present smallest one, the boldest first."""
    yield from _without_end(shrunk)
    yield from _without_other_keys(shrunk)
    for faults in _smaller(lambda: shrunk.scenario.faults):
        yield replace(shrunk.scenario, faults=faults)
    for operations in _smaller(lambda: shrunk.scenario.operations):
        yield replace(shrunk.scenario, operations=operations)


def _without_end(shrunk: Shrunk) -> Iterator[Scenario]:
    """Nothing matters that comes after the calls of the violation."""
    calls = [call for violation in shrunk.violations[:1] for call in violation.calls]
    if calls:
        last = max(call.operation.number for call in calls)
        begun_at = shrunk.outcome.begun_at
        until = max(call.ended_at for call in calls) - begun_at
        scenario = shrunk.scenario
        yield replace(
            scenario,
            operations=tuple(op for op in scenario.operations if op.number <= last),
            faults=tuple(fault for fault in scenario.faults if fault.at_s <= until),
        )


def _without_other_keys(shrunk: Shrunk) -> Iterator[Scenario]:
    """Often the operations on other keys do not matter."""
    keys = {violation.key for violation in shrunk.violations[:1]} - {""}
    if keys:
        scenario = shrunk.scenario
        yield replace(scenario, operations=tuple(op for op in scenario.operations if keys & {*op.keys}))


def _smaller(present: Callable[[], Sequence[T]]) -> Iterator[tuple[T, ...]]:
    """The present sequence without one of its parts: halves first, single elements last.

    `present` returns the smallest sequence that fails, which may change while this iterates.
    """
    size = (len(present()) + 1) // 2
    while size >= 1:
        at = 0
        while at < len(items := present()):
            yield (*items[:at], *items[at + size :])
            if len(present()) == len(items):
                at += size
        size //= 2
