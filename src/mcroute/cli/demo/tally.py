"""The clients' results, counted per phase."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

__all__ = ("Counts", "Latencies", "Phase", "Tally")

EXAMPLES_MAX = 5


class Phase(Enum):
    FILL = "filling"
    BEFORE = "before"
    DURING = "during"  # from the fault until the server is in service again
    AFTER = "after"


class Latencies:
    """Times in buckets that each grow by 5 %: percentiles of that precision for any number of requests.

    Another thread may read it while it grows.
    """

    _GROWTH = math.log(1.05)
    _LEAST_S = 1e-6

    def __init__(self) -> None:
        self.slowest_s: float = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        self.slowest_s = max(self.slowest_s, seconds)
        self._buckets[int(math.log(max(seconds, self._LEAST_S) / self._LEAST_S) / self._GROWTH)] += 1

    def merge(self, other: Latencies) -> None:
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self._buckets.update(dict(other._buckets))

    def percentile(self, share: float) -> float:
        """The time that this share of requests did not exceed, in seconds; 0 without requests."""
        buckets = sorted(dict(self._buckets).items())
        rank = share * sum(count for _, count in buckets)
        for bucket, count in buckets:
            rank -= count
            if rank <= 0:
                return min(self.slowest_s, self._LEAST_S * math.exp((bucket + 1) * self._GROWTH))
        return self.slowest_s


@dataclass
class Counts:
    requests: int = 0
    hits: int = 0
    misses: int = 0
    errors: int = 0
    stale: int = 0  # older than a value that had been stored when the read began
    wrong: int = 0  # another key's value, or a value that no client wrote
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def hit_ratio(self) -> float | None:
        """The share of hits; None without answered reads."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None


class Tally:
    """Counts per phase; `phase` is the phase that counts are added to."""

    def __init__(self) -> None:
        self.phase = Phase.FILL
        self.phases: dict[Phase, Counts] = {phase: Counts() for phase in Phase}
        self.examples: list[str] = []  # of errors, stale and wrong values

    @property
    def counts(self) -> Counts:
        return self.phases[self.phase]

    def total(self) -> Counts:
        total = Counts()
        for counts in self.phases.values():
            total.requests += counts.requests
            total.hits += counts.hits
            total.misses += counts.misses
            total.errors += counts.errors
            total.stale += counts.stale
            total.wrong += counts.wrong
            total.latencies.merge(counts.latencies)
        return total

    def answered(self, seconds: float) -> None:
        self.counts.requests += 1
        self.counts.latencies.add(seconds)

    def read(self, is_hit: bool) -> None:
        if is_hit:
            self.counts.hits += 1
        else:
            self.counts.misses += 1

    def error(self, text: str) -> None:
        self.counts.errors += 1
        self._keep(text)

    def stale(self, text: str) -> None:
        self.counts.stale += 1
        self._keep(text)

    def wrong(self, text: str) -> None:
        self.counts.wrong += 1
        self._keep(text)

    def _keep(self, text: str) -> None:
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(text)
