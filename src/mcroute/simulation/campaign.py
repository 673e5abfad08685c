"""Many seeds, in several processes: what failed, and which faults met which states of servers."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from .checker import violations
from .faults import FAULTS
from .scenarios import scenario_of
from .world import run

__all__ = ("Campaign", "SeedResult", "run_seed", "run_seeds")

# Seeds that a process takes at once.
CHUNK = 4


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One seed's run. `laws` are the broken ones, with the first text of each."""

    seed: int
    layout: str
    calls: int
    faults: int
    met: Counter[tuple[str, str]]
    laws: dict[str, str]


@dataclass(slots=True)
class Campaign:
    """The sums of all seeds so far."""

    seeds: int = 0
    calls: int = 0
    faults: int = 0
    seconds: float = 0.0
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    layouts: Counter[str] = field(default_factory=Counter)
    failed: list[SeedResult] = field(default_factory=list)

    def add(self, result: SeedResult) -> None:
        self.seeds += 1
        self.calls += result.calls
        self.faults += result.faults
        self.met += result.met
        self.layouts[result.layout] += 1
        if result.laws:
            self.failed.append(result)

    def table(self) -> list[str]:
        """The lines of a table: how often each kind of fault met a server in each state; and the routes."""
        states = sorted({state for _, state in self.met})
        width = max(map(len, FAULTS))
        lines = [" " * width + "".join(f"{state or 'router':>11}" for state in states)]
        for kind in FAULTS:
            counts = "".join(f"{self.met[kind, state] or '-':>11}" for state in states)
            lines.append(f"{kind:{width}}{counts}")
        routes = (f"{count} {layout}" for layout, count in sorted(self.layouts.items()))
        return [*lines, f"routes: {', '.join(routes)}"]


def run_seed(seed: int, operations: int = 2000, faults: int = 5) -> SeedResult:
    """Runs the random scenario of a seed, and checks it."""
    scenario = scenario_of(seed, operations, faults)
    outcome = run(scenario)
    laws: dict[str, str] = {}
    for violation in violations(scenario, outcome):
        laws.setdefault(violation.law, str(violation))
    return SeedResult(
        seed, scenario.layout, len(outcome.history.calls), len(scenario.faults), outcome.met, laws
    )


def run_seeds(
    seeds: Iterable[int],
    operations: int = 2000,
    faults: int = 5,
    jobs: int = 0,
    on_result: Callable[[SeedResult], None] = lambda result: None,
) -> Campaign:
    """Runs all seeds in `jobs` processes, by default one for each core.

    `on_result` gets each result, in the order of the seeds.
    """
    campaign = Campaign()
    begun_at = time.monotonic()
    for result in _results(list(seeds), operations, faults, jobs or os.cpu_count() or 1):
        campaign.add(result)
        campaign.seconds = time.monotonic() - begun_at
        on_result(result)
    return campaign


def _results(seeds: list[int], operations: int, faults: int, jobs: int) -> Iterator[SeedResult]:
    if jobs == 1:
        yield from (run_seed(seed, operations, faults) for seed in seeds)
        return
    # Ctrl-C is for the parent, which ends the others.
    with ProcessPoolExecutor(
        jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        try:
            counts = [operations] * len(seeds), [faults] * len(seeds)
            yield from pool.map(run_seed, seeds, *counts, chunksize=CHUNK)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
