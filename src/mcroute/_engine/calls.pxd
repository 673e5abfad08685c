"""Requests of the process that the engine runs in: submitted without a session, their results taken as objects."""

from mcroute._engine.state cimport ClientRequest, Engine

# Starts a request, and copies its bytes. Raises ValueError unless `data` is one request that can be routed,
# OverflowError if too many calls are in flight or their memory is used up, MemoryError.
cdef ClientRequest* call_begin(Engine* engine, bytes data) except NULL
# Returns and removes the results since the last call, as (number, outcome, result). Adds to `culprits`, by number,
# the servers that requests have failed at.
cdef list calls_take(Engine* engine, dict culprits)
