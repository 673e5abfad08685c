"""The metrics of a proxy: one table behind `stats mcroute`, Prometheus and docs/metrics.md.

Rule: labels are servers, pools, commands, outcomes and causes; never keys or other input of clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .._engine.snapshots import Latencies, ServerSnapshot, Snapshot
from .._version import __version__
from ..policy import Cause, Condition, Outcome, PoolReport, ServerReport

__all__ = ("BOUNDS_S", "METRICS", "Kind", "Metric", "Observation", "Observed", "rows")

# Prometheus buckets: powers of two of a microsecond, 32 µs to 1.05 s. The engine's finer buckets
# share these bounds, so that no count is interpolated.
BOUNDS_S = tuple(2**power / 1e6 for power in range(5, 21))


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


# The engine counts these two causes itself.
_COUNTED_AS = {Cause.FAILURES: "trips", Cause.MISSED_WRITE: "stale_ejections"}


def _ejections(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.servers.items():
        # A new server may be unknown to the engine yet.
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


def _journal_keys(seen: Observation) -> Iterator[Sample]:
    for name, (keys, _) in seen.journals.items():
        yield (name,), keys


def _journal_overflows(seen: Observation) -> Iterator[Sample]:
    for name, (_, overflows) in seen.journals.items():
        yield (name,), overflows


def _memory(seen: Observation) -> Iterator[Sample]:
    for share in ("request", "reply", "link"):
        yield (share,), seen.snapshot.counters[f"{share}_bytes"]


def _skipped(seen: Observation) -> Iterator[Sample]:
    for name, server in seen.snapshot.servers.items():
        yield (name, "too_large"), server.counters["too_large"]
        yield (name, "no_memory"), server.counters["discarded_memory"]


def _waiting(server: ServerSnapshot) -> int:
    return server.counters["requests"] - server.counters["dropped"] - server.latencies.count


# ---- the table ----

COUNTER, GAUGE, HISTOGRAM = Kind

METRICS = (
    Metric(
        GAUGE, "up", "1 while the proxy accepts clients, 0 while it drains.", (), _one(lambda s: s.is_serving)
    ),
    Metric(GAUGE, "build_info", "Always 1.", ("version",), lambda seen: [((__version__,), 1)]),
    Metric(GAUGE, "start_time_seconds", "Start of the proxy, since 1970.", (), _one(lambda s: s.started_at)),
    Metric(
        GAUGE,
        "config_hash_info",
        "Always 1. Proxies with the same hash have the same pools, servers, timeouts and routes.",
        ("hash",),
        lambda seen: [((seen.fingerprint,), 1)],
    ),
    Metric(
        GAUGE,
        "config_last_reload_success_timestamp_seconds",
        "Time of the last successful reload, or of the start, since 1970.",
        (),
        _one(lambda seen: seen.installed_at),
    ),
    Metric(
        COUNTER,
        "config_reload_failures_total",
        "Reloads that failed; the previous configuration stays in use.",
        (),
        _one(lambda seen: seen.failed_reloads),
    ),
    # ---- clients ----
    Metric(
        GAUGE,
        "current_connections",
        "Current client connections.",
        (),
        _one(lambda s: s.snapshot.counters["sessions_opened"] - s.snapshot.counters["sessions_closed"]),
    ),
    Metric(COUNTER, "connections_total", "Client connections accepted.", (), _counted("sessions_opened")),
    Metric(
        COUNTER,
        "accepts_failed_total",
        "Times that accepting clients paused because descriptors or memory ran out; native loop only.",
        (),
        _counted("accepts_failed"),
    ),
    Metric(COUNTER, "read_bytes_total", "Bytes from clients.", (), _counted("bytes_read")),
    Metric(COUNTER, "written_bytes_total", "Bytes to clients.", (), _counted("bytes_written")),
    Metric(
        COUNTER,
        "requests_total",
        "Requests by outcome; each key of a multiget counts. version and similar commands count as hits.",
        ("command", "outcome"),
        _requests,
    ),
    Metric(
        HISTOGRAM,
        "request_duration_seconds",
        "Time from the last byte of a request to its reply, failovers included.",
        ("command",),
        _durations,
    ),
    Metric(
        GAUGE,
        "requests_in_flight",
        "Requests in flight.",
        (),
        _one(lambda s: s.snapshot.counters["requests"] - s.snapshot.counters["replies"]),
    ),
    Metric(
        COUNTER,
        "requests_refused_total",
        "Requests refused as unknown or malformed, without asking a server.",
        (),
        _counted("refused"),
    ),
    Metric(
        COUNTER,
        "request_timeouts_total",
        "Requests that reached their deadline and were answered with SERVER_ERROR timeout.",
        (),
        _counted("timeouts"),
    ),
    Metric(
        COUNTER,
        "requests_refused_memory_total",
        "Requests answered with SERVER_ERROR because the memory for requests or for links was exhausted.",
        (),
        _counted("refused_memory"),
    ),
    Metric(
        COUNTER,
        "connections_closed_memory_total",
        "Clients closed for unread replies or half a line while memory was exhausted.",
        (),
        _counted("closed_memory"),
    ),
    Metric(
        GAUGE,
        "memory_bytes",
        "Memory in use per share: requests, replies, links; see the options request_memory_max and so on.",
        ("share",),
        _memory,
    ),
    Metric(
        GAUGE,
        "buffer_bytes",
        "Memory of requests and replies in flight, from clients and from servers.",
        (),
        _counted("buffer_bytes"),
    ),
    # ---- failures ----
    Metric(
        COUNTER,
        "failovers_total",
        "Failovers to another server, by the outcome that caused them.",
        ("reason",),
        _failovers,
    ),
    Metric(
        COUNTER,
        "retries_total",
        "Failovers after a timeout that the retry budget allowed or refused.",
        ("outcome",),
        _retries,
    ),
    Metric(
        COUNTER,
        "retries_refused_total",
        "Failovers after a timeout of the server that the retry budget refused.",
        ("server",),
        _counted_of_servers("retries_refused"),
    ),
    Metric(
        COUNTER,
        "late_replies_total",
        "Replies of the server that came after the reply timeout.",
        ("server",),
        _counted_of_servers("late"),
    ),
    Metric(
        GAUGE,
        "server_state",
        "1 for the current state of the server. The server is in service when up, slow or failing.",
        ("server", "state"),
        _states,
    ),
    Metric(
        COUNTER,
        "ejections_total",
        "Ejections of the server, by cause.",
        ("server", "reason"),
        _ejections,
    ),
    Metric(
        COUNTER,
        "ejections_overflow_total",
        "Ejections of the server that were suppressed: the last server of its pool, panic mode, or enough "
        "outliers.",
        ("server",),
        _reported(lambda server: server.tally.kept),
    ),
    Metric(
        COUNTER,
        "server_returns_total",
        "Times that the server was restored.",
        ("server",),
        _reported(lambda server: server.tally.returns),
    ),
    Metric(
        COUNTER,
        "server_flushes_total",
        "Times that the server was flushed on its return, since it had missed more than its journal told.",
        ("server",),
        _reported(lambda server: server.tally.flushes),
    ),
    Metric(
        COUNTER,
        "server_replays_total",
        "Times that the keys of writes that the server had missed were deleted there.",
        ("server",),
        _reported(lambda server: server.tally.replays),
    ),
    Metric(
        COUNTER,
        "server_replayed_keys_total",
        "These keys.",
        ("server",),
        _reported(lambda server: server.tally.replayed_keys),
    ),
    Metric(
        GAUGE,
        "journal_keys",
        "Keys of writes that the server has missed, and that are not deleted there yet.",
        ("server",),
        _journal_keys,
    ),
    Metric(
        COUNTER,
        "journal_overflows_total",
        "Times that the journal had no room for a key, or that a flush_all was missed.",
        ("server",),
        _journal_overflows,
    ),
    Metric(
        COUNTER,
        "missed_writes_total",
        "Writes that did not reach the server but may have reached another copy.",
        ("server",),
        _counted_of_servers("missed_writes"),
    ),
    Metric(
        GAUGE,
        "pool_server_info",
        "Always 1. Joins the metrics of servers to their pools.",
        ("pool", "server"),
        _members,
    ),
    Metric(GAUGE, "pool_servers", "Servers in the pool.", ("pool",), _of_pools(lambda pool: pool.size)),
    Metric(
        GAUGE,
        "pool_servers_up",
        "Servers of the pool in service that do not fail.",
        ("pool",),
        _of_pools(lambda pool: pool.up),
    ),
    Metric(
        GAUGE,
        "degraded",
        "1 while a server of the pool is out of service or fails.",
        ("pool",),
        _of_pools(lambda pool: pool.up < pool.size),
    ),
    Metric(
        GAUGE,
        "panic_mode",
        "1 while panic mode is on: too much of the pool looks bad, and servers that are only slow stay.",
        ("pool",),
        _of_pools(lambda pool: pool.is_panic),
    ),
    # ---- servers ----
    Metric(
        COUNTER,
        "backend_requests_total",
        "Requests to the server by outcome; ejected, overloaded and some of lost were never sent.",
        ("server", "outcome"),
        _asks,
    ),
    Metric(
        HISTOGRAM,
        "backend_request_duration_seconds",
        "Time from a request to the server's reply, late replies included.",
        ("server",),
        _replies,
    ),
    Metric(
        GAUGE,
        "backend_requests_in_flight",
        "Requests that the server has not answered yet, including those that timed out.",
        ("server",),
        _of_servers(_waiting),
    ),
    Metric(
        GAUGE,
        "backend_connections",
        "Current connections to the server.",
        ("server",),
        _of_servers(lambda server: server.counters["connects"] - server.counters["disconnects"]),
    ),
    Metric(
        COUNTER,
        "backend_connects_total",
        "Connections to the server that were established.",
        ("server",),
        _counted_of_servers("connects"),
    ),
    Metric(
        COUNTER,
        "backend_connects_failed_total",
        "Connection attempts to the server that failed.",
        ("server",),
        _counted_of_servers("connects_failed"),
    ),
    Metric(
        COUNTER,
        "backend_disconnects_total",
        "Connections to the server that were closed, by either side.",
        ("server",),
        _counted_of_servers("disconnects"),
    ),
    Metric(
        COUNTER,
        "values_skipped_total",
        "Values of the server that were discarded and answered with SERVER_ERROR: larger than value_max, or "
        "memory was exhausted.",
        ("server", "reason"),
        _skipped,
    ),
    Metric(
        COUNTER,
        "desync_detected_total",
        "Connections closed because a reply did not match the request: 0, or the server is broken.",
        ("server",),
        _counted_of_servers("desyncs"),
    ),
)


# ---- stats mcroute ----

_UNDERSCORES = dict.fromkeys(range(ord(" ") + 1), "_")
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def rows(seen: Observation) -> Iterator[tuple[str, str]]:
    """The rows of `stats mcroute`: name (the metric's, colons, the labels' values) and value."""
    for metric in METRICS:
        for labels, value in metric.read(seen):
            name = ":".join((metric.name, *labels))
            if " " in name or not name.isprintable():
                # A pool's name may have blanks, which would end the row's name.
                name = name.translate(_UNDERSCORES)
            if not isinstance(value, Latencies):
                yield name, f"{value:.6f}" if isinstance(value, float) else str(int(value))
                continue
            yield f"{name}:count", str(value.count)
            yield f"{name}:sum", f"{value.sum_s:.6f}"
            for quantile, share in _QUANTILES.items():
                yield f"{name}:{quantile}", f"{value.quantile(share):.6f}"
