"""What the clients saw, counted phase by phase."""

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
    DURING = "during"  # from the fault until the server serves again
    AFTER = "after"


class Latencies:
    """Times in buckets that each grow by 5 %: percentiles that exact, whatever the number of requests.

    May be read by another thread while it grows.
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
        """The time that this share of requests did not exceed; 0 without requests."""
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
    stale: int = 0  # older than what had been stored when the read began
    alien: int = 0  # another key's value, or one that nobody wrote
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def hit_ratio(self) -> float | None:
        """None without reads that were answered."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None


class Tally:
    """Counts of every phase; `phase` says to which one what is reported belongs."""

    def __init__(self) -> None:
        self.phase = Phase.FILL
        self.phases: dict[Phase, Counts] = {phase: Counts() for phase in Phase}
        self.examples: list[str] = []  # of what must not happen

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
            total.alien += counts.alien
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

    def alien(self, text: str) -> None:
        self.counts.alien += 1
        self._keep(text)

    def _keep(self, text: str) -> None:
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(text)
