"""The retry and hedge budgets: an ask of another server after a timeout, or beside one that waits, costs a token."""

from mcroute._engine.counters cimport counter_add
from mcroute._engine.state cimport Engine, Server

# Whether another server may be asked after this outcome; takes a token of the retry budget if that costs one.
cdef bint may_retry(Engine* engine, int outcome) noexcept nogil
# Whether the budget is used up; if so, counts it, also at the server that timed out, unless that is NULL.
cdef bint retry_is_refused(Engine* engine, Server* server) noexcept nogil

# Whether the hedge budget is used up; if so, counts it.
cdef bint hedge_is_refused(Engine* engine) noexcept nogil
# Counts asks of other copies beside one that waits on the server. Takes their tokens, unless they are free.
cdef void hedges_sent(Engine* engine, Server* server, int count, bint is_free) noexcept nogil

# Counts an ask of another server after this outcome of the ask before.
cdef inline void failed_over(Engine* engine, int outcome) noexcept nogil:
    counter_add(&engine.counts.failovers[outcome], 1)
