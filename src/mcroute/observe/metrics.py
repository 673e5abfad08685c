"""The metrics of a proxy: one table behind `stats mcroute`, Prometheus and docs/metrics.md.

Rule: labels are servers, pools, commands, outcomes and causes; never keys or other input of clients.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._engine.snapshots import Latencies
from .._version import __version__
from . import readings as read
from .observation import Kind, Metric, Observation

__all__ = ("BOUNDS_S", "METRICS", "rows")

# Prometheus buckets: powers of two of a microsecond, 32 µs to 1.05 s. The engine's finer buckets
# share these bounds, so that no count is interpolated.
BOUNDS_S = tuple(2**power / 1e6 for power in range(5, 21))

COUNTER, GAUGE, HISTOGRAM = Kind

METRICS = (
    Metric(
        GAUGE,
        "up",
        "1 while the proxy accepts clients, 0 while it drains.",
        (),
        read.one(lambda s: s.is_serving),
    ),
    Metric(GAUGE, "build_info", "Always 1.", ("version",), lambda seen: [((__version__,), 1)]),
    Metric(
        GAUGE, "start_time_seconds", "Start of the proxy, since 1970.", (), read.one(lambda s: s.started_at)
    ),
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
        read.one(lambda seen: seen.installed_at),
    ),
    Metric(
        COUNTER,
        "config_reload_failures_total",
        "Reloads that failed; the previous configuration stays in use.",
        (),
        read.one(lambda seen: seen.failed_reloads),
    ),
    # ---- clients ----
    Metric(
        GAUGE,
        "current_connections",
        "Current client connections.",
        (),
        read.one(lambda s: s.snapshot.counters["sessions_opened"] - s.snapshot.counters["sessions_closed"]),
    ),
    Metric(COUNTER, "connections_total", "Client connections accepted.", (), read.counted("sessions_opened")),
    Metric(
        COUNTER,
        "accepts_failed_total",
        "Times that accepting clients paused because descriptors or memory ran out; native loop only.",
        (),
        read.counted("accepts_failed"),
    ),
    Metric(COUNTER, "read_bytes_total", "Bytes from clients.", (), read.counted("bytes_read")),
    Metric(COUNTER, "written_bytes_total", "Bytes to clients.", (), read.counted("bytes_written")),
    Metric(
        COUNTER,
        "requests_total",
        "Requests by outcome; each key of a multiget counts. version and similar commands count as hits.",
        ("command", "outcome"),
        read.requests,
    ),
    Metric(
        HISTOGRAM,
        "request_duration_seconds",
        "Time from the last byte of a request to its reply, failovers included.",
        ("command",),
        read.durations,
    ),
    Metric(
        GAUGE,
        "requests_in_flight",
        "Requests in flight.",
        (),
        read.one(lambda s: s.snapshot.counters["requests"] - s.snapshot.counters["replies"]),
    ),
    Metric(
        COUNTER,
        "requests_refused_total",
        "Requests refused as unknown or malformed, without asking a server.",
        (),
        read.counted("refused"),
    ),
    Metric(
        COUNTER,
        "request_timeouts_total",
        "Requests that reached their deadline and were answered with SERVER_ERROR timeout.",
        (),
        read.counted("timeouts"),
    ),
    Metric(
        COUNTER,
        "requests_refused_memory_total",
        "Requests answered with SERVER_ERROR because the memory for requests or for links was exhausted.",
        (),
        read.counted("refused_memory"),
    ),
    Metric(
        COUNTER,
        "connections_closed_memory_total",
        "Clients closed for unread replies or half a line while memory was exhausted.",
        (),
        read.counted("closed_memory"),
    ),
    Metric(
        GAUGE,
        "memory_bytes",
        "Memory in use per share: requests, replies, links; see the options request_memory_max and so on.",
        ("share",),
        read.memory,
    ),
    Metric(
        GAUGE,
        "buffer_bytes",
        "Memory of requests and replies in flight, from clients and from servers.",
        (),
        read.counted("buffer_bytes"),
    ),
    # ---- failures ----
    Metric(
        COUNTER,
        "failovers_total",
        "Failovers to another server, by the outcome that caused them.",
        ("reason",),
        read.failovers,
    ),
    Metric(
        COUNTER,
        "retries_total",
        "Failovers after a timeout that the retry budget allowed or refused.",
        ("outcome",),
        read.retries,
    ),
    Metric(
        COUNTER,
        "retries_refused_total",
        "Failovers after a timeout of the server that the retry budget refused.",
        ("server",),
        read.counted_of_servers("retries_refused"),
    ),
    Metric(
        COUNTER,
        "hedges_total",
        "Reads that were asked of the next copy too, those of them that it answered first, and those that "
        "the hedge budget refused.",
        ("outcome",),
        read.hedges,
    ),
    Metric(
        COUNTER,
        "server_hedges_total",
        "Reads that waited for the server and were asked of the next copy too.",
        ("server",),
        read.counted_of_servers("hedges"),
    ),
    Metric(
        COUNTER,
        "late_replies_total",
        "Replies of the server that came after the reply timeout.",
        ("server",),
        read.counted_of_servers("late"),
    ),
    Metric(
        GAUGE,
        "server_state",
        "1 for the current state of the server. The server is in service when up, slow or failing.",
        ("server", "state"),
        read.states,
    ),
    Metric(
        COUNTER,
        "ejections_total",
        "Ejections of the server, by cause.",
        ("server", "reason"),
        read.ejections,
    ),
    Metric(
        COUNTER,
        "ejections_overflow_total",
        "Ejections of the server that were suppressed: the last server of its pool, panic mode, or enough "
        "outliers.",
        ("server",),
        read.reported(lambda server: server.tally.kept),
    ),
    Metric(
        COUNTER,
        "server_returns_total",
        "Times that the server was restored.",
        ("server",),
        read.reported(lambda server: server.tally.returns),
    ),
    Metric(
        COUNTER,
        "server_flushes_total",
        "Times that the server was flushed on its return, since it had missed more than its journal told.",
        ("server",),
        read.reported(lambda server: server.tally.flushes),
    ),
    Metric(
        COUNTER,
        "server_replays_total",
        "Times that the keys of writes that the server had missed were deleted there.",
        ("server",),
        read.reported(lambda server: server.tally.replays),
    ),
    Metric(
        COUNTER,
        "server_replayed_keys_total",
        "These keys.",
        ("server",),
        read.reported(lambda server: server.tally.replayed_keys),
    ),
    Metric(
        GAUGE,
        "journal_keys",
        "Keys of writes that the server has missed, and that are not deleted there yet.",
        ("server",),
        read.journal_keys,
    ),
    Metric(
        COUNTER,
        "journal_overflows_total",
        "Times that the journal had no room for a key, or that a flush_all was missed.",
        ("server",),
        read.journal_overflows,
    ),
    Metric(
        COUNTER,
        "events_total",
        "Events that a hook or the webhook has taken (sent), has failed on, or was too busy for (dropped).",
        ("hook", "result"),
        read.events,
    ),
    Metric(GAUGE, "events_waiting", "Events that wait for it.", ("hook",), read.events_waiting),
    Metric(GAUGE, "journal_file_bytes", "Size of the journal file.", (), read.journal_file(0)),
    Metric(
        COUNTER,
        "journal_file_errors_total",
        "Keys that could not be written to the journal file.",
        (),
        read.journal_file(1),
    ),
    Metric(
        GAUGE,
        "journal_file_complete",
        "1 if a restarted proxy could rely on the journal file, else 0: it would flush servers.",
        (),
        read.journal_file(2),
    ),
    Metric(
        GAUGE,
        "server_warming",
        "1 while the server, which came back empty, gets its keys again from its twins, else 0.",
        ("server",),
        read.reported(lambda server: server.warmth.is_warming),
    ),
    Metric(
        GAUGE,
        "server_warming_keys_ahead",
        "Keys that a twin has listed, and that are not copied yet; a twin with many keys lists them again.",
        ("server",),
        read.reported(lambda server: server.warmth.ahead),
    ),
    Metric(
        COUNTER,
        "server_warming_keys_total",
        "Keys whose copies to the server were begun; the refill metrics tell what became of them.",
        ("server",),
        read.reported(lambda server: server.warmth.begun),
    ),
    Metric(
        COUNTER,
        "server_warmings_total",
        "Times that the server had all of its keys again.",
        ("server",),
        read.reported(lambda server: server.warmth.times),
    ),
    Metric(
        GAUGE,
        "copies_waiting",
        'Stores that a primary has answered, and that this backup has not answered (`write = "backup"`).',
        ("server",),
        read.counted_of_servers("copies_waiting"),
    ),
    Metric(
        COUNTER,
        "copies_total",
        "Stores that a primary has answered, and that this backup has answered or missed.",
        ("server",),
        read.counted_of_servers("copies"),
    ),
    Metric(
        GAUGE,
        "standin_keys",
        "Keys that the server took in the place of other servers, and that are not deleted there yet.",
        ("server",),
        read.standin_keys,
    ),
    Metric(
        COUNTER,
        "standin_deleted_keys_total",
        "Keys that the server took in the place of other servers, deleted there when these served again.",
        ("server",),
        read.standin_deleted,
    ),
    Metric(
        COUNTER,
        "standin_refused_total",
        "Requests not sent to a stand-in: it may have an old value of the key, or no room for the key.",
        (),
        read.counted("standins_refused"),
    ),
    Metric(
        COUNTER,
        "missed_writes_total",
        "Writes that did not reach the server but may have reached another copy.",
        ("server",),
        read.counted_of_servers("missed_writes"),
    ),
    Metric(
        COUNTER,
        "refills_total",
        "Keys copied to the server because a read missed them there (stored), or not: it had the key "
        "(present), the other copy had it no longer (gone), a write or a server out of service was in the "
        "way (skipped), beyond the rate or the room (dropped). Copies deleted again, as their source has "
        "changed (undone).",
        ("server", "result"),
        read.refills,
    ),
    Metric(
        GAUGE,
        "refills_open",
        "Keys that wait to be refilled, or whose source is to be looked at again.",
        (),
        read.counted("refills_open"),
    ),
    Metric(
        GAUGE,
        "pool_server_info",
        "Always 1. Joins the metrics of servers to their pools.",
        ("pool", "server"),
        read.members,
    ),
    Metric(GAUGE, "pool_servers", "Servers in the pool.", ("pool",), read.of_pools(lambda pool: pool.size)),
    Metric(
        GAUGE,
        "pool_servers_up",
        "Servers of the pool in service that do not fail.",
        ("pool",),
        read.of_pools(lambda pool: pool.up),
    ),
    Metric(
        GAUGE,
        "degraded",
        "1 while a server of the pool is out of service or fails.",
        ("pool",),
        read.of_pools(lambda pool: pool.up < pool.size),
    ),
    Metric(
        GAUGE,
        "panic_mode",
        "1 while panic mode is on: too much of the pool looks bad, and servers that are only slow stay.",
        ("pool",),
        read.of_pools(lambda pool: pool.is_panic),
    ),
    # ---- servers ----
    Metric(
        COUNTER,
        "backend_requests_total",
        "Requests to the server by outcome; ejected, overloaded and some of lost were never sent.",
        ("server", "outcome"),
        read.asks,
    ),
    Metric(
        HISTOGRAM,
        "backend_request_duration_seconds",
        "Time from a request to the server's reply, late replies included.",
        ("server",),
        read.replies,
    ),
    Metric(
        GAUGE,
        "backend_requests_in_flight",
        "Requests that the server has not answered yet, including those that timed out.",
        ("server",),
        read.of_servers(read.waiting),
    ),
    Metric(
        GAUGE,
        "backend_connections",
        "Current connections to the server.",
        ("server",),
        read.of_servers(lambda server: server.counters["connects"] - server.counters["disconnects"]),
    ),
    Metric(
        COUNTER,
        "backend_connects_total",
        "Connections to the server that were established.",
        ("server",),
        read.counted_of_servers("connects"),
    ),
    Metric(
        COUNTER,
        "backend_connects_failed_total",
        "Connection attempts to the server that failed.",
        ("server",),
        read.counted_of_servers("connects_failed"),
    ),
    Metric(
        COUNTER,
        "backend_disconnects_total",
        "Connections to the server that were closed, by either side.",
        ("server",),
        read.counted_of_servers("disconnects"),
    ),
    Metric(
        COUNTER,
        "values_skipped_total",
        "Values of the server that were discarded and answered with SERVER_ERROR: larger than value_max, or "
        "memory was exhausted.",
        ("server", "reason"),
        read.skipped,
    ),
    Metric(
        COUNTER,
        "desync_detected_total",
        "Connections closed because a reply did not match the request: 0, or the server is broken.",
        ("server",),
        read.counted_of_servers("desyncs"),
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
