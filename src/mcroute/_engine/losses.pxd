"""Desyncs and want of memory, counted for the log: losses that are not failures of a server or client."""

from mcroute._engine.state cimport DESYNC_MAX, Desync, Engine

cdef enum:
    DESYNCS_MAX = 16            # servers in one call of desyncs_take

cdef struct DesyncOfServer:
    int server
    Desync what

cdef struct Desyncs:
    int count
    DesyncOfServer[DESYNCS_MAX] items

# Takes the desyncs since the last call: for each server the first, and their number.
cdef void desyncs_take(Engine* engine, Desyncs* out) noexcept nogil
cdef list desyncs_as_values(const Desyncs* taken)
# The engine's counters as a Losses. Any thread may call it.
cdef object engine_losses(Engine* engine)
