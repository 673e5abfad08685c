"""The retry budget: what is asked of another server after a timeout costs a token."""

from mcroute._engine.counters cimport counter_add
from mcroute._engine.state cimport Engine, Server

# Whether another server may be asked after this outcome; takes a token of the retry budget if that costs one.
cdef bint may_retry(Engine* engine, int outcome) noexcept nogil
# Whether the budget is used up, which is counted at the server that was too late, if it is given.
cdef bint retry_is_refused(Engine* engine, Server* server) noexcept nogil

# Another server is asked because this is what the ask before came to.
cdef inline void failed_over(Engine* engine, int outcome) noexcept nogil:
    counter_add(&engine.counts.failovers[outcome], 1)
