"""Desyncs and want of memory, noted for the log: losses that are no server's or client's failure."""

from mcroute._engine.state cimport DESYNC_MAX, Desync, Engine

cdef enum:
    DESYNCS_TOLD = 16           # at once

cdef struct DesyncOfServer:
    int server
    Desync what

cdef struct Desyncs:
    int count
    DesyncOfServer[DESYNCS_TOLD] items

# Servers whose links were out of step since they were last taken.
cdef void desyncs_take(Engine* engine, Desyncs* out) noexcept nogil
cdef list desyncs_as_values(const Desyncs* taken)
# Counted by the engine, from any thread.
cdef object engine_losses(Engine* engine)
