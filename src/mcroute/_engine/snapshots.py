"""Counters of engines, as values that can be added: one snapshot for each engine, one sum for the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..policy.nodes import Outcome
from .histograms import BOUNDS

__all__ = ("Latencies", "ServerSnapshot", "Snapshot")

_Key = TypeVar("_Key")


def _merged(one: Mapping[_Key, Any], other: Mapping[_Key, Any]) -> dict[_Key, Any]:
    merged = dict(one)
    for key, value in other.items():
        merged[key] = merged[key] + value if key in merged else value
    return merged


@dataclass(frozen=True, slots=True)
class Latencies:
    """Durations as counts by bucket: bucket i has those below BOUNDS[i] seconds, in no earlier bucket."""

    counts: Mapping[int, int] = field(default_factory=dict)
    sum_s: float = 0.0

    def __add__(self, other: Latencies) -> Latencies:
        return Latencies(_merged(self.counts, other.counts), self.sum_s + other.sum_s)

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def below(self, seconds: float) -> int:
        """Number of durations below `seconds`: exact for one of BOUNDS, else of buckets that end before."""
        return sum(count for bucket, count in self.counts.items() if BOUNDS[bucket] <= seconds)

    def quantile(self, share: float) -> float:
        """The duration, in seconds, that this share did not exceed; within 6.25 %, or half a microsecond.

        0 if nothing was counted; 67.1 for all durations of 67.1 s or longer.
        """
        left = share * self.count
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0:
                return _middle(bucket)
        return 0.0


def _middle(bucket: int) -> float:
    below = BOUNDS[bucket - 1] if bucket else 0.0
    return below if bucket == len(BOUNDS) - 1 else (below + BOUNDS[bucket]) / 2


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """One server's counters by name, outcomes of asks, and durations of replies, late ones included."""

    counters: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    latencies: Latencies = field(default_factory=Latencies)

    def __add__(self, other: ServerSnapshot) -> ServerSnapshot:
        return ServerSnapshot(
            _merged(self.counters, other.counters),
            _merged(self.outcomes, other.outcomes),
            self.latencies + other.latencies,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One engine's counts, or with `sum(snapshots, Snapshot())` those of several.

    Counts of 0 are missing, except in `counters`. `results` are requests by command and outcome, each key of
    a multiget for itself; `failovers` are by the outcome of the server before; `durations` are of requests,
    by command; `servers` are by name. `variants` are those of the results that memcached counts apart:
    "mg T", "ms C", "ma MD" and "md I".
    """

    counters: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[tuple[str, Outcome], int] = field(default_factory=dict)
    failovers: Mapping[Outcome, int] = field(default_factory=dict)
    durations: Mapping[str, Latencies] = field(default_factory=dict)
    servers: Mapping[str, ServerSnapshot] = field(default_factory=dict)
    variants: Mapping[tuple[str, Outcome], int] = field(default_factory=dict)

    def __add__(self, other: Snapshot) -> Snapshot:
        return Snapshot(
            _merged(self.counters, other.counters),
            _merged(self.results, other.results),
            _merged(self.failovers, other.failovers),
            _merged(self.durations, other.durations),
            _merged(self.servers, other.servers),
            _merged(self.variants, other.variants),
        )
