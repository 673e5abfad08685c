"""The retry budget: an ask of another server after a timeout costs a token."""

from mcroute._engine.counters cimport counter_add
from mcroute._engine.state cimport Engine, Server

# Whether another server may be asked after this outcome; takes a token of the retry budget if that costs one.
cdef bint may_retry(Engine* engine, int outcome) noexcept nogil
# Whether the budget is used up; if so, counts it, also at the server that timed out, unless that is NULL.
cdef bint retry_is_refused(Engine* engine, Server* server) noexcept nogil

# Counts an ask of another server after this outcome of the ask before.
cdef inline void failed_over(Engine* engine, int outcome) noexcept nogil:
    counter_add(&engine.counts.failovers[outcome], 1)
