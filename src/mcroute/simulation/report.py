"""Sums a run with a workload up: phases between faults, what each fault did, and the course over time."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

from .absences import Absence
from .faults import FAULTS, Fault
from .workload import Served
from .world import Outcome, Scenario

__all__ = ("Effect", "FaultReport", "Figures", "Phase", "Report", "report_of")

# Points of the course over time.
POINTS = 120


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests that arrived in a time, and their latencies from arrival to answer.

    `hit_ratio` is None without reads, the latencies are None without requests. `errors` counts requests for
    which the cache returned an error, `lost` those that the database did not answer in time, `slow` those
    that took longer than the report's `slow_ms`.
    """

    requests: int
    hit_ratio: float | None
    database_per_s: float
    errors: int
    lost: int
    slow: int
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None


@dataclass(frozen=True, slots=True)
class Phase:
    """The time between two events: a fault that begins or ends. Times are seconds of the run."""

    name: str
    begins_s: float
    ends_s: float
    figures: Figures


@dataclass(frozen=True, slots=True)
class Effect:
    """What a router did with a server because of a fault.

    `out_after_s` is the time from the fault's begin until the server was out of service, negative if it was
    out before, None if it stayed. `back_after_s` is the time from the fault's end until it served again,
    negative if it served before, None if it did not within the run. `times_out` counts its absences.
    On its returns the router has flushed it `flushes` times, and deleted `replayed_keys` keys there.
    """

    router: str
    server: str
    out_after_s: float | None
    back_after_s: float | None
    times_out: int
    flushes: int
    replayed_keys: int
    reason: str


@dataclass(frozen=True, slots=True)
class FaultReport:
    """A fault, its effects, and the figures from its begin until its server served again for all routers."""

    fault: str
    begins_s: float
    ends_s: float
    until_s: float
    effects: tuple[Effect, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Moment:
    """One point of the course over time, `at_s` being its middle, in seconds of the run."""

    at_s: float
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of a run. `step_s` is the time between two moments."""

    seed: int
    duration_s: float
    slow_ms: float
    phases: tuple[Phase, ...]
    faults: tuple[FaultReport, ...]
    moments: tuple[Moment, ...]
    step_s: float

    def as_dict(self) -> dict[str, Any]:
        """As objects of JSON."""
        return asdict(self)


def report_of(scenario: Scenario, outcome: Outcome, slow_s: float = 0.1) -> Report:
    """Raises ValueError for a scenario without a workload."""
    if scenario.workload is None:
        raise ValueError("the scenario has no workload")
    run = _Run(scenario, outcome, scenario.workload.duration_s, slow_s)
    # Round steps, so that a longer run has points of whole seconds.
    step_s = max(0.25, math.ceil(run.duration_s / POINTS))
    moments = (
        Moment(round(at_s + step_s / 2, 6), run.figures(at_s, at_s + step_s))
        for at_s in _steps(run.duration_s, step_s)
    )
    faults = (run.fault(fault) for fault in scenario.faults)
    return Report(
        scenario.seed,
        run.duration_s,
        slow_s * 1000,
        tuple(run.phases()),
        tuple(faults),
        tuple(moments),
        step_s,
    )


def _steps(duration_s: float, step_s: float) -> Iterator[float]:
    for number in range(math.ceil(duration_s / step_s)):
        yield number * step_s


class _Run:
    """The outcome of a run, by the time of arrival."""

    def __init__(self, scenario: Scenario, outcome: Outcome, duration_s: float, slow_s: float) -> None:
        self.duration_s = duration_s
        self._faults = scenario.faults
        self._targets = {fault.target for fault in scenario.faults}
        self._slow_s = slow_s
        self._begun_at = outcome.begun_at
        self._served = sorted(outcome.served, key=attrgetter("arrived_at"))
        self._queries = sorted(outcome.queries)
        self._absences = outcome.absences

    # ---- figures ----

    def figures(self, begins_s: float, ends_s: float) -> Figures:
        begin, end = self._begun_at + begins_s, self._begun_at + ends_s
        first, last = (bisect_left(self._served, at, key=attrgetter("arrived_at")) for at in (begin, end))
        queries = bisect_left(self._queries, end) - bisect_left(self._queries, begin)
        return self._sums(self._served[first:last], queries / max(ends_s - begins_s, 1e-9))

    def _sums(self, served: Sequence[Served], database_per_s: float) -> Figures:
        reads = [one.is_hit for one in served if one.is_hit is not None]
        times = sorted(one.ended_at - one.arrived_at for one in served)
        return Figures(
            len(served),
            sum(reads) / len(reads) if reads else None,
            database_per_s,
            sum(one.has_failed for one in served),
            sum(one.is_lost for one in served),
            sum(time > self._slow_s for time in times),
            *(_percentile_ms(times, share) for share in (0.5, 0.99, 0.999)),
        )

    # ---- phases ----

    def phases(self) -> Iterator[Phase]:
        edges = {0.0, self.duration_s}
        for fault in self._faults:
            edges |= {at for at in (fault.at_s, fault.at_s + fault.for_s) if at < self.duration_s}
        ordered = sorted(edges)
        for begins_s, ends_s in itertools.pairwise(ordered):
            yield Phase(self._name(begins_s), begins_s, ends_s, self.figures(begins_s, ends_s))

    def _name(self, at_s: float) -> str:
        """The faults at a time; before and after them it has no fault."""
        active = [f for f in self._faults if f.at_s <= at_s < f.at_s + f.for_s]
        if active:
            return " + ".join(dict.fromkeys(f"{fault.kind} of {fault.target}" for fault in active))
        past = sum(fault.at_s + fault.for_s <= at_s for fault in self._faults)
        return "before" if not past else "after" if past == len(self._faults) else "between"

    # ---- faults ----

    def fault(self, fault: Fault) -> FaultReport:
        ends_s = fault.at_s + fault.for_s
        effects = tuple(self._effects(fault))
        backs = [ends_s + e.back_after_s for e in effects if e.back_after_s is not None and e.times_out]
        until_s = min(self.duration_s, max([ends_s, *backs]))
        return FaultReport(
            str(fault), fault.at_s, ends_s, until_s, effects, self.figures(fault.at_s, until_s)
        )

    def _effects(self, fault: Fault) -> Iterator[Effect]:
        """Those on the fault's server, and on servers that no fault of the script befalls."""
        begin, end = self._begun_at + fault.at_s, self._begun_at + fault.at_s + fault.for_s
        until = self._next_begin(fault)
        by_pair: dict[tuple[str, str], list[Absence]] = {}
        if not FAULTS[fault.kind].of_routers:
            for router in dict.fromkeys(one.router for one in self._served):
                by_pair[router, fault.target] = []
        for absence in self._absences:
            is_own = absence.server == fault.target
            is_over = absence.ended_at is not None and absence.ended_at <= begin
            is_later = absence.begun_at >= (until if is_own else max(end, begin))
            if not is_over and not is_later and (is_own or absence.server not in self._targets):
                by_pair.setdefault((absence.router, absence.server), []).append(absence)
        for (router, server), absences in by_pair.items():
            yield _effect(router, server, absences, begin, end)

    def _next_begin(self, fault: Fault) -> float:
        """When the next fault befalls the same target, as a time of the loop."""
        later = (f.at_s for f in self._faults if f.target == fault.target and f.at_s > fault.at_s)
        return self._begun_at + min(later, default=float("inf"))


def _effect(router: str, server: str, absences: Sequence[Absence], begin: float, end: float) -> Effect:
    if not absences:
        return Effect(router, server, None, None, 0, 0, 0, "")
    first, last = absences[0], absences[-1]
    return Effect(
        router,
        server,
        round(first.begun_at - begin, 6),
        None if last.ended_at is None else round(last.ended_at - end, 6),
        len(absences),
        sum(absence.flushes for absence in absences),
        sum(absence.replayed_keys for absence in absences),
        first.reason,
    )


def _percentile_ms(times: Sequence[float], share: float) -> float | None:
    """The least time that this share of the sorted times does not exceed."""
    return round(times[math.ceil(share * len(times)) - 1] * 1000, 3) if times else None
