"""Requests of the process that the engine runs in: submitted without a session, their results taken as objects."""

from mcroute._engine.state cimport ClientRequest, Engine

# Starts a request, whose bytes are copied. Raises ValueError for what is not one request that can be routed.
cdef ClientRequest* call_begin(Engine* engine, bytes data) except NULL
# The results since the last time, as (number, outcome, result). Forgets them. `culprits` gets, by number, the servers
# that requests have failed at.
cdef list calls_take(Engine* engine, dict culprits)
