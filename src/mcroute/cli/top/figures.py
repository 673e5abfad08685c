"""Rates, shares and percentiles of servers and of clients' requests, between two samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..._engine.snapshots import Latencies
from .samples import Row, Sample

__all__ = ("Clients", "Figures", "Screen", "ServerRow", "SortBy", "screen", "sorted_servers")

_NOTHING: Row = {"requests": 0, "hits": 0, "misses": 0, "errors": 0, "buckets": {}}


@dataclass(frozen=True, slots=True)
class Figures:
    """Of requests within a time. `per_s` and `errors_per_s` are rates; `hit_share` is None without reads."""

    per_s: float
    errors_per_s: float
    hit_share: float | None
    latencies: Latencies

    def percentile_s(self, share: float) -> float | None:
        """Seconds; None without replies."""
        return self.latencies.quantile(share) if self.latencies.counts else None


@dataclass(frozen=True, slots=True)
class ServerRow:
    name: str
    pools: tuple[str, ...]
    state: str
    since_s: float
    cause: str  # with its details; empty while the server is in order
    unanswered: int
    figures: Figures

    @property
    def is_in_order(self) -> bool:
        return self.state == "up"


@dataclass(frozen=True, slots=True)
class Clients:
    """All clients together; `commands` has the figures of each command that they have sent."""

    connected: int
    in_flight: int
    figures: Figures
    commands: Mapping[str, Figures]


@dataclass(frozen=True, slots=True)
class Screen:
    """All that is shown at one moment. `pools` have a name, servers in service, servers, and panic."""

    uptime_s: float
    pools: tuple[tuple[str, int, int, bool], ...]
    clients: Clients
    servers: tuple[ServerRow, ...]


class SortBy(Enum):
    """The values are the texts of the keys' help."""

    STATE = "state"
    NAME = "name"
    RATE = "rate"
    ERRORS = "errors"
    HITS = "hits"
    LATENCY = "p99"


def screen(before: Sample | None, now: Sample) -> Screen:
    """The figures from `before` on, or from the start of the proxy: also if it was restarted since."""
    seconds = now.proxy["uptime_s"]
    if before is not None and before.proxy["uptime_s"] < seconds:
        seconds -= before.proxy["uptime_s"]
    else:
        before = None
    seconds = max(seconds, 1e-3)
    earlier = before.commands if before else {}
    changes = {name: _change(earlier.get(name, _NOTHING), row) for name, row in now.commands.items()}
    clients = Clients(
        now.proxy["clients"],
        now.proxy["in_flight"],
        _figures(_sum(changes.values()), seconds),
        {name: _figures(change, seconds) for name, change in changes.items()},
    )
    earlier = before.servers if before else {}
    servers = tuple(
        _server(name, row, _figures(_change(earlier.get(name, _NOTHING), row), seconds))
        for name, row in now.servers.items()
    )
    pools = tuple((pool["name"], pool["up"], pool["servers"], pool["is_panic"]) for pool in now.pools)
    return Screen(now.proxy["uptime_s"], pools, clients, servers)


def _change(before: Row, now: Row) -> dict[str, Any]:
    if now["requests"] < before["requests"]:
        # Another server has the name.
        before = _NOTHING
    change: dict[str, Any] = {
        what: max(0, now[what] - before[what]) for what in ("requests", "hits", "misses", "errors")
    }
    earlier = before["buckets"]
    change["buckets"] = {
        int(bucket): grown
        for bucket, count in now["buckets"].items()
        if (grown := count - earlier.get(bucket, 0)) > 0
    }
    return change


def _sum(changes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {**_NOTHING, "buckets": {}}
    for change in changes:
        for what in ("requests", "hits", "misses", "errors"):
            total[what] += change[what]
        for bucket, count in change["buckets"].items():
            total["buckets"][bucket] = total["buckets"].get(bucket, 0) + count
    return total


def _figures(change: Mapping[str, Any], seconds: float) -> Figures:
    reads = change["hits"] + change["misses"]
    return Figures(
        change["requests"] / seconds,
        change["errors"] / seconds,
        change["hits"] / reads if reads else None,
        Latencies(change["buckets"]),
    )


def _server(name: str, row: Row, figures: Figures) -> ServerRow:
    cause = f"{row['cause']}: {row['reason']}" if row["cause"] else ""
    return ServerRow(
        name, tuple(row["pools"]), row["state"], row["since_s"], cause, row["unanswered"], figures
    )


# Servers that are not in order come first, also when their figures are 0.
_KEYS: dict[SortBy, Callable[[ServerRow], Any]] = {
    SortBy.STATE: lambda row: (row.is_in_order, row.since_s if not row.is_in_order else -row.figures.per_s),
    SortBy.NAME: lambda row: row.name,
    SortBy.RATE: lambda row: -row.figures.per_s,
    SortBy.ERRORS: lambda row: -row.figures.errors_per_s,
    SortBy.HITS: lambda row: 2.0 if row.figures.hit_share is None else row.figures.hit_share,
    SortBy.LATENCY: lambda row: -(row.figures.percentile_s(0.99) or 0.0),
}


def sorted_servers(servers: Iterable[ServerRow], by: SortBy) -> list[ServerRow]:
    """The noteworthy ones first: out of service, fast growing, few hits, slow. Equal ones stay by name."""
    return sorted(sorted(servers, key=_KEYS[SortBy.NAME]), key=_KEYS[by])
