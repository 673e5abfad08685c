"""What a proxy tells about itself: one table behind `stats mcroute`, Prometheus, docs/metrics.md.

Rule: labels are servers, pools, commands, outcomes, causes; never keys, nor what else clients choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .. import __version__
from .._engine.snapshots import Latencies, ServerSnapshot, Snapshot
from ..policy import Cause, Condition, Outcome, PoolReport, ServerReport

__all__ = ("BOUNDS_S", "METRICS", "Kind", "Metric", "Observation", "Observed", "rows")

# Of histograms in Prometheus: powers of two of a microsecond, 32 µs to 1.05 s. The engine's finer buckets
# have these bounds too, so that nothing is estimated.
BOUNDS_S = tuple(2**power / 1e6 for power in range(5, 21))


@dataclass(frozen=True, slots=True)
class Observation:
    """A proxy at one moment. Times are seconds since 1970."""

    snapshot: Snapshot
    servers: Mapping[str, ServerReport]
    pools: Mapping[str, PoolReport]
    members: Mapping[str, tuple[str, ...]]  # the servers of each pool
    fingerprint: str  # of the plan
    started_at: float
    installed_at: float  # the plan
    failed_reloads: int
    is_serving: bool


class Observed(Protocol):
    """What can be observed while it serves, from any thread."""

    def observe(self) -> Observation: ...


Sample = tuple[tuple[str, ...], float | Latencies]


class Kind(Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table. In Prometheus its name begins with `mcroute_`; `read` gives its samples."""

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Observation], Iterable[Sample]]


# ---- ways to read ----


def _one(read: Callable[[Observation], float]) -> Callable[[Observation], Iterable[Sample]]:
    return lambda seen: [((), read(seen))]


def _counted(name: str) -> Callable[[Observation], Iterable[Sample]]:
    return _one(lambda seen: seen.snapshot.counters[name])


def _of_servers(read: Callable[[ServerSnapshot], float]) -> Callable[[Observation], Iterable[Sample]]:
    return lambda seen: [((name,), read(server)) for name, server in seen.snapshot.servers.items()]


def _reported(read: Callable[[ServerReport], float]) -> Callable[[Observation], Iterable[Sample]]:
    return lambda seen: [((name,), read(server)) for name, server in seen.servers.items()]


def _of_pools(read: Callable[[PoolReport], float]) -> Callable[[Observation], Iterable[Sample]]:
    return lambda seen: [((name,), read(pool)) for name, pool in seen.pools.items()]


def _members(seen: Observation) -> Iterator[Sample]:
    for pool, servers in seen.members.items():
        for server in servers:
            yield (pool, server), 1


def _counted_of_servers(name: str) -> Callable[[Observation], Iterable[Sample]]:
    return _of_servers(lambda server: server.counters[name])


# Exported while they are 0, so that rate() sees the first error.
_ERRORS = tuple(outcome for outcome in Outcome if outcome >= Outcome.REFUSED_BY_SERVER)


def _by_outcome(counts: Mapping[Outcome, int]) -> Iterator[tuple[str, int]]:
    for outcome in Outcome:
        if outcome in counts or outcome in _ERRORS:
            yield outcome.name.lower(), counts.get(outcome, 0)


def _requests(seen: Observation) -> Iterator[Sample]:
    for (command, outcome), count in seen.snapshot.results.items():
        yield (command, outcome.name.lower()), count


def _durations(seen: Observation) -> Iterator[Sample]:
    for command, latencies in seen.snapshot.durations.items():
        yield (command,), latencies


def _failovers(seen: Observation) -> Iterator[Sample]:
    for outcome in _ERRORS:
        yield (outcome.name.lower(),), seen.snapshot.failovers.get(outcome, 0)


def _retries(seen: Observation) -> Iterator[Sample]:
    yield ("sent",), seen.snapshot.counters["retries"]
    yield ("refused",), seen.snapshot.counters["retries_refused"]


def _states(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.servers.items():
        for condition in Condition:
            yield (name, condition.value), server.condition is condition


# What engines count themselves.
_COUNTED_AS = {Cause.FAILURES: "trips", Cause.MISSED_WRITE: "drops"}


def _ejections(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.servers.items():
        # An engine may not have got as far as to know the server.
        counted = seen.snapshot.servers.get(name, ServerSnapshot()).counters
        for cause in Cause:
            by_engine = counted.get(_COUNTED_AS.get(cause, ""), 0)
            yield (name, cause.value), by_engine + server.tally.ejections.get(cause, 0)


def _asks(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.snapshot.servers.items():
        for outcome, count in _by_outcome(server.outcomes):
            yield (name, outcome), count


def _replies(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.snapshot.servers.items():
        yield (name,), server.latencies


def _memory(seen: Observation) -> Iterator[Sample]:
    for share in ("request", "reply", "link"):
        yield (share,), seen.snapshot.counters[f"{share}_bytes"]


def _skipped(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.snapshot.servers.items():
        yield (name, "too_large"), server.counters["too_large"]
        yield (name, "no_memory"), server.counters["unkept"]


def _waiting(server: ServerSnapshot) -> int:
    return server.counters["requests"] - server.counters["dropped"] - server.latencies.count


# ---- the table ----

COUNTER, GAUGE, HISTOGRAM = Kind

METRICS = (
    Metric(GAUGE, "up", "1 while clients are taken, 0 while it ends.", (), _one(lambda s: s.is_serving)),
    Metric(GAUGE, "build_info", "Always 1.", ("version",), lambda seen: [((__version__,), 1)]),
    Metric(GAUGE, "start_time_seconds", "When it began, since 1970.", (), _one(lambda s: s.started_at)),
    Metric(
        GAUGE,
        "config_hash_info",
        "Always 1. Proxies with the same hash have the same pools, servers, times and routes.",
        ("hash",),
        lambda seen: [((seen.fingerprint,), 1)],
    ),
    Metric(
        GAUGE,
        "config_last_reload_success_timestamp_seconds",
        "When the configuration that is in force was installed, since 1970.",
        (),
        _one(lambda seen: seen.installed_at),
    ),
    Metric(
        COUNTER,
        "config_reload_failures_total",
        "How often another configuration was to be installed and could not work: the one before stayed.",
        (),
        _one(lambda seen: seen.failed_reloads),
    ),
    # ---- clients ----
    Metric(
        GAUGE,
        "current_connections",
        "Clients that are connected.",
        (),
        _one(lambda s: s.snapshot.counters["sessions_opened"] - s.snapshot.counters["sessions_closed"]),
    ),
    Metric(COUNTER, "connections_total", "Clients that have connected.", (), _counted("sessions_opened")),
    Metric(
        COUNTER,
        "accepts_failed_total",
        "Times that clients had to wait for want of a descriptor or memory; native loop only.",
        (),
        _counted("accepts_failed"),
    ),
    Metric(COUNTER, "read_bytes_total", "Bytes from clients.", (), _counted("bytes_read")),
    Metric(COUNTER, "written_bytes_total", "Bytes to clients.", (), _counted("bytes_written")),
    Metric(
        COUNTER,
        "requests_total",
        "Requests by what they came to; of a multiget each key counts. version and its like are hits.",
        ("command", "outcome"),
        _requests,
    ),
    Metric(
        HISTOGRAM,
        "request_duration_seconds",
        "From a request's last byte to its reply, retries and failovers included.",
        ("command",),
        _durations,
    ),
    Metric(
        GAUGE,
        "requests_in_flight",
        "Requests without a reply yet.",
        (),
        _one(lambda s: s.snapshot.counters["requests"] - s.snapshot.counters["replies"]),
    ),
    Metric(
        COUNTER,
        "requests_refused_total",
        "What was answered with an error because it is no request that mcroute knows.",
        (),
        _counted("refused"),
    ),
    Metric(
        COUNTER,
        "request_timeouts_total",
        "Requests that reached their deadline: their clients were told SERVER_ERROR timeout.",
        (),
        _counted("timeouts"),
    ),
    Metric(
        COUNTER,
        "requests_refused_memory_total",
        "Requests answered with SERVER_ERROR because the memory for requests, or for links, was used up.",
        (),
        _counted("refused_memory"),
    ),
    Metric(
        COUNTER,
        "connections_closed_memory_total",
        "Clients closed because they left too much unread, or sent half a line, while memory was used up.",
        (),
        _counted("closed_memory"),
    ),
    Metric(
        GAUGE,
        "memory_bytes",
        "Memory taken of each share: requests, replies, links. See the options of these names.",
        ("share",),
        _memory,
    ),
    Metric(
        GAUGE,
        "buffer_bytes",
        "Memory that requests and replies under way take, those of servers included.",
        (),
        _counted("buffer_bytes"),
    ),
    # ---- failures ----
    Metric(
        COUNTER,
        "failovers_total",
        "Requests that went on to another server, by what the one before came to.",
        ("reason",),
        _failovers,
    ),
    Metric(
        COUNTER,
        "retries_total",
        "Failovers after timeouts: those that the retry budget paid for, and those that it refused.",
        ("outcome",),
        _retries,
    ),
    Metric(
        COUNTER,
        "retries_refused_total",
        "Timeouts of the server after which the retry budget refused to ask another copy.",
        ("server",),
        _counted_of_servers("retries_refused"),
    ),
    Metric(
        COUNTER,
        "late_replies_total",
        "Replies of the server that took longer than the reply timeout.",
        ("server",),
        _counted_of_servers("late"),
    ),
    Metric(
        GAUGE,
        "server_state",
        "1 for the state that the server is in. It serves when it is up, slow or failing.",
        ("server", "state"),
        _states,
    ),
    Metric(
        COUNTER,
        "ejections_total",
        "How often the server was taken out of service, and why.",
        ("server", "reason"),
        _ejections,
    ),
    Metric(
        COUNTER,
        "ejections_overflow_total",
        "How often the server was kept although it failed: the last one of its pool, or in a panic.",
        ("server",),
        _reported(lambda server: server.tally.kept),
    ),
    Metric(
        COUNTER,
        "server_returns_total",
        "How often the server went back into service.",
        ("server",),
        _reported(lambda server: server.tally.returns),
    ),
    Metric(
        COUNTER,
        "server_flushes_total",
        "How often the server was flushed on its return, because it had missed writes.",
        ("server",),
        _reported(lambda server: server.tally.flushes),
    ),
    Metric(
        COUNTER,
        "missed_writes_total",
        "Writes that did not reach the server while another copy may have taken them.",
        ("server",),
        _counted_of_servers("missed_writes"),
    ),
    Metric(
        GAUGE,
        "pool_server_info",
        "Always 1. The server is in the pool: joins what is told of servers to pools.",
        ("pool", "server"),
        _members,
    ),
    Metric(GAUGE, "pool_servers", "Servers in the pool.", ("pool",), _of_pools(lambda pool: pool.size)),
    Metric(
        GAUGE,
        "pool_servers_up",
        "Those in service that do not fail.",
        ("pool",),
        _of_pools(lambda pool: pool.up),
    ),
    Metric(
        GAUGE,
        "degraded",
        "1 while not all servers of the pool are in service, or one of them fails.",
        ("pool",),
        _of_pools(lambda pool: pool.up < pool.size),
    ),
    Metric(
        GAUGE,
        "panic_mode",
        "1 while so much of the pool looks bad that servers which are only slow are kept.",
        ("pool",),
        _of_pools(lambda pool: pool.is_panic),
    ),
    # ---- servers ----
    Metric(
        COUNTER,
        "backend_requests_total",
        "What requests to the server came to; ejected, overloaded and some of lost were never sent.",
        ("server", "outcome"),
        _asks,
    ),
    Metric(
        HISTOGRAM,
        "backend_request_duration_seconds",
        "From a request to the server's reply, also of replies that came too late.",
        ("server",),
        _replies,
    ),
    Metric(
        GAUGE,
        "backend_requests_in_flight",
        "Requests that the server has not answered yet, whether anybody still waits for it or not.",
        ("server",),
        _of_servers(_waiting),
    ),
    Metric(
        GAUGE,
        "backend_connections",
        "Connections to the server.",
        ("server",),
        _of_servers(lambda server: server.counters["connects"] - server.counters["disconnects"]),
    ),
    Metric(
        COUNTER,
        "backend_connects_total",
        "Connections to the server that were made.",
        ("server",),
        _counted_of_servers("connects"),
    ),
    Metric(
        COUNTER,
        "backend_connects_failed_total",
        "Connections to the server that could not be made.",
        ("server",),
        _counted_of_servers("connects_failed"),
    ),
    Metric(
        COUNTER,
        "backend_disconnects_total",
        "Connections to the server that ended, whoever ended them.",
        ("server",),
        _counted_of_servers("disconnects"),
    ),
    Metric(
        COUNTER,
        "values_skipped_total",
        "Values of the server that were read past and answered with SERVER_ERROR: larger than value_max, or "
        "for want of memory.",
        ("server", "reason"),
        _skipped,
    ),
    Metric(
        COUNTER,
        "desync_detected_total",
        "Connections closed because what came did not fit what was asked: 0, or the server is broken.",
        ("server",),
        _counted_of_servers("desyncs"),
    ),
)


# ---- stats mcroute ----

_UNDERSCORES = dict.fromkeys(range(ord(" ") + 1), "_")
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def rows(seen: Observation) -> Iterator[tuple[str, str]]:
    """The rows of `stats mcroute`: a metric's name, colons and its labels' values; and a value."""
    for metric in METRICS:
        for labels, value in metric.read(seen):
            name = ":".join((metric.name, *labels))
            if " " in name or not name.isprintable():
                # Names of pools may have blanks, which end a row's name. Few of many rows have such a name.
                name = name.translate(_UNDERSCORES)
            if not isinstance(value, Latencies):
                yield name, f"{value:.6f}" if isinstance(value, float) else str(int(value))
                continue
            yield f"{name}:count", str(value.count)
            yield f"{name}:sum", f"{value.sum_s:.6f}"
            for quantile, share in _QUANTILES.items():
                yield f"{name}:{quantile}", f"{value.quantile(share):.6f}"
