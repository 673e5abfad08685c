"""What an engine has counted, copied from any thread without stopping it. Only the engine itself has to stay."""

from mcroute._engine.histograms cimport Histogram
from mcroute._engine.state cimport Engine, EngineCounts, Server, ServerCounts

cdef void engine_counts(Engine* engine, EngineCounts* counts) noexcept nogil
# `replies` is how long they took.
cdef void server_counts(Server* server, ServerCounts* counts, Histogram* replies) noexcept nogil
# For an id that is given to another server, by the engine's own thread.
cdef void server_counts_clear(Server* server) noexcept nogil

# A mcroute._engine.snapshots.Snapshot; `ids` are the ids of the servers in it, by name.
cdef object engine_snapshot(Engine* engine, dict ids)
# By server: late replies, and retries that the budget refused; without those that have neither.
cdef dict engine_troubles(Engine* engine)
