"""Copies of an engine's counters, from any thread, while the engine runs. The engine must not be freed meanwhile."""

from mcroute._engine.histograms cimport Histogram
from mcroute._engine.state cimport Engine, EngineCounts, Server, ServerCounts

cdef void engine_counts(Engine* engine, EngineCounts* counts) noexcept nogil
# `replies` gets the durations of the server's replies.
cdef void server_counts(Server* server, ServerCounts* counts, Histogram* replies) noexcept nogil
# Call, in the engine's own thread, when another server gets the id.
cdef void server_counts_clear(Server* server) noexcept nogil

# A mcroute._engine.snapshots.Snapshot; `ids` are the ids of the servers in it, by name.
cdef object engine_snapshot(Engine* engine, dict ids)
# By server id: (late replies, retries that the budget refused), without servers that have neither.
cdef dict engine_slowness(Engine* engine)
# By server id: (asks that were lost or timed out, requests lost with their connection, replies by bucket), without
# servers that have none of these.
cdef dict engine_evidence(Engine* engine)
