"""Copies counters, and makes snapshots of them."""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from mcroute._engine.counters cimport counter_clear, counter_read, shown
from mcroute._engine.histograms cimport HISTOGRAM_BUCKETS
from mcroute._engine.state cimport HIT, LOST, MISS, OUTCOME_COUNT, TIMEOUT, VARIANT_COUNT
from mcroute._protocol cimport COMMAND_COUNT

from mcroute._engine.snapshots import Latencies, ServerSnapshot, Snapshot
from mcroute._protocol import commands
from mcroute.policy.nodes import Outcome

cdef tuple OUTCOMES = tuple(Outcome)
cdef tuple VARIANTS = ("mg T", "ms C", "ma MD", "md I")


# ---- in C ----

cdef void _copy(const void* counts, void* copy, size_t size) noexcept nogil:
    cdef uint64_t* source = <uint64_t*>counts
    cdef uint64_t* target = <uint64_t*>copy
    cdef size_t i
    for i in range(size // sizeof(uint64_t)):
        target[i] = counter_read(&source[i])


cdef void _zero(void* counts, size_t size) noexcept nogil:
    cdef uint64_t* words = <uint64_t*>counts
    cdef size_t i
    for i in range(size // sizeof(uint64_t)):
        counter_clear(&words[i])


cdef void engine_counts(Engine* engine, EngineCounts* counts) noexcept nogil:
    _copy(&engine.counts, counts, sizeof(EngineCounts))


cdef void server_counts(Server* server, ServerCounts* counts, Histogram* replies) noexcept nogil:
    cdef void* source = shown(<void**>&server.replies)
    _copy(&server.counts, counts, sizeof(ServerCounts))
    if source == NULL:
        memset(replies, 0, sizeof(Histogram))
    else:
        _copy(source, replies, sizeof(Histogram))


cdef void server_counts_clear(Server* server) noexcept nogil:
    _zero(&server.counts, sizeof(ServerCounts))
    if server.replies != NULL:
        _zero(server.replies, sizeof(Histogram))


# ---- in Python ----

cdef object _latencies(Histogram* histogram):
    cdef int bucket
    counts = {}
    for bucket in range(HISTOGRAM_BUCKETS):
        if histogram.buckets[bucket]:
            counts[bucket] = histogram.buckets[bucket]
    return Latencies(counts, histogram.sum)


cdef dict _by_outcome(uint64_t* counts):
    cdef int outcome
    return {OUTCOMES[outcome]: counts[outcome] for outcome in range(OUTCOME_COUNT) if counts[outcome]}


cdef dict _results(EngineCounts* counts):
    cdef int command
    return {
        (commands.COMMAND_NAMES[command], outcome): number
        for command in range(<int>COMMAND_COUNT)
        for outcome, number in _by_outcome(counts.results[command]).items()
    }


cdef dict _variants(EngineCounts* counts):
    cdef int variant
    return {
        (VARIANTS[variant], outcome): number
        for variant in range(<int>VARIANT_COUNT)
        for outcome, number in _by_outcome(counts.variants[variant]).items()
    }


cdef dict _durations(EngineCounts* counts):
    cdef int command
    durations = {}
    for command in range(<int>COMMAND_COUNT):
        latencies = _latencies(&counts.durations[command])
        if latencies.counts:
            durations[commands.COMMAND_NAMES[command]] = latencies
    return durations


cdef object _server(Server* server):
    cdef ServerCounts counts
    cdef Histogram replies
    server_counts(server, &counts, &replies)
    return ServerSnapshot(
        {
            "requests": counts.requests,
            "dropped": counts.dropped,
            "failed": counts.failed,
            "timeouts": counts.timeouts,
            "late": counts.late,
            "retries_refused": counts.retries_refused,
            "hedges": counts.hedges,
            "missed_writes": counts.missed_writes,
            "desyncs": counts.desyncs,
            "too_large": counts.too_large,
            "discarded_memory": counts.discarded_memory,
            "connects": counts.connects,
            "connects_failed": counts.connects_failed,
            "disconnects": counts.disconnects,
            "trips": counts.trips,
            "stale_ejections": counts.stale_ejections,
            "refilled": counts.refilled,
            "refills_present": counts.refills_present,
            "refills_gone": counts.refills_gone,
            "refills_skipped": counts.refills_skipped,
            "refills_dropped": counts.refills_dropped,
            "refills_undone": counts.refills_undone,
            "copies": counts.copies_ended,
            "copies_waiting": counts.copies_begun - min(counts.copies_begun, counts.copies_ended),
        },
        _by_outcome(counts.outcomes),
        _latencies(&replies),
    )


cdef dict engine_slowness(Engine* engine):
    cdef Server* server = <Server*>shown(<void**>&engine.newest_server)
    cdef uint64_t late, refused
    slowness = {}
    while server != NULL:
        late = counter_read(&server.counts.late)
        refused = counter_read(&server.counts.retries_refused)
        if late or refused:
            slowness[server.id] = (late, refused)
        server = server.next
    return slowness


cdef dict _replies(Histogram* histogram):
    cdef int bucket
    cdef uint64_t count
    replies = {}
    if histogram != NULL:
        for bucket in range(HISTOGRAM_BUCKETS):
            count = counter_read(&histogram.buckets[bucket])
            if count:
                replies[bucket] = count
    return replies


cdef dict engine_evidence(Engine* engine):
    cdef Server* server = <Server*>shown(<void**>&engine.newest_server)
    cdef uint64_t errors, lost, hits, misses
    evidence = {}
    while server != NULL:
        errors = counter_read(&server.counts.outcomes[<int>LOST]) + counter_read(&server.counts.outcomes[<int>TIMEOUT])
        lost = counter_read(&server.counts.dropped)
        replies = _replies(<Histogram*>shown(<void**>&server.replies))
        hits = counter_read(&server.counts.outcomes[<int>HIT])
        misses = counter_read(&server.counts.outcomes[<int>MISS])
        if errors or lost or replies:
            evidence[server.id] = (errors, lost, replies, hits, misses)
        server = server.next
    return evidence


cdef dict _counters(EngineCounts* counts):
    return {
        "bytes_read": counts.bytes_in,
        "bytes_written": counts.bytes_out,
        "requests": counts.requests,
        "replies": counts.replies,
        "refused": counts.refused,
        "timeouts": counts.timeouts,
        "ejections": counts.ejections,
        "desyncs": counts.desyncs,
        "retries": counts.retries,
        "retries_refused": counts.retries_refused,
        "hedges": counts.hedges,
        "hedges_won": counts.hedges_won,
        "hedges_refused": counts.hedges_refused,
        "standins_refused": counts.standins_refused,
        "sessions_opened": counts.sessions_opened,
        "sessions_closed": counts.sessions_closed,
        "accepts_failed": counts.accepts_failed,
        "refused_memory": counts.refused_memory,
        "closed_memory": counts.closed_memory,
        "refills_open": counts.refills_open,
    }


cdef dict _servers(Engine* engine, dict ids):
    """The servers with an id in `ids`. Another thread may read the list of all servers: it only grows at its front."""
    cdef Server* server = <Server*>shown(<void**>&engine.newest_server)
    names = {number: name for name, number in ids.items()}
    servers = {}
    while server != NULL:
        if server.id in names:
            servers[names[server.id]] = _server(server)
        server = server.next
    return servers


cdef object engine_snapshot(Engine* engine, dict ids):
    cdef EngineCounts* counts = <EngineCounts*>malloc(sizeof(EngineCounts))
    if counts == NULL:
        raise MemoryError
    try:
        engine_counts(engine, counts)
        counters = _counters(counts)
        failovers = _by_outcome(counts.failovers)
        counters["failovers"] = sum(failovers.values())
        counters["request_bytes"] = counter_read(&engine.uploads.used_bytes)
        counters["reply_bytes"] = counter_read(&engine.pool.used_bytes)
        counters["link_bytes"] = counter_read(&engine.outbound.used_bytes)
        counters["buffer_bytes"] = counters["request_bytes"] + counters["reply_bytes"] + counters["link_bytes"]
        return Snapshot(
            counters, _results(counts), failovers, _durations(counts), _servers(engine, ids), _variants(counts)
        )
    finally:
        free(counts)
