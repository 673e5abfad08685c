"""The state of a proxy at one moment, and what a metric is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from .._engine.snapshots import Latencies, Snapshot
from ..policy import PoolReport, ServerReport

if TYPE_CHECKING:
    from .hooks import Deliveries

__all__ = ("Kind", "Metric", "Observation", "Observed", "Sample")


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of a proxy at one moment. Times are seconds since 1970."""

    snapshot: Snapshot
    servers: Mapping[str, ServerReport]
    pools: Mapping[str, PoolReport]
    members: Mapping[str, tuple[str, ...]]  # the servers of each pool
    fingerprint: str  # of the plan
    started_at: float
    installed_at: float  # of the plan
    failed_reloads: int
    is_serving: bool
    journals: Mapping[str, tuple[int, int]]  # by server: keys, and overflows so far
    standins: Mapping[str, tuple[int, int]]  # by stand-in: keys, and keys deleted there so far
    journal_file: tuple[int, int, bool] | None = None  # bytes, errors so far, and whether it is complete
    deliveries: Mapping[str, Deliveries] = field(default_factory=dict)  # by the hook's name


class Observed(Protocol):
    """A proxy that any thread may observe while it serves."""

    def observe(self) -> Observation: ...


Sample = tuple[tuple[str, ...], float | Latencies]


class Kind(Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table. Its Prometheus name begins with `mcroute_`; `read` returns its samples."""

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Observation], Iterable[Sample]]
