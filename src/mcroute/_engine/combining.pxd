"""The nodes that have children, and those that have none to wait for."""

from libc.stdint cimport uint64_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.counters cimport counter_add
from mcroute._engine.state cimport Engine, PlanNode, Walk

# The walk has come to its node, which is no ask.
cdef void combine_start(Walk* walk, PlanNode* node) noexcept nogil
# A child has ended; `number` tells a python node which.
cdef void combine_child_ended(Walk* walk, int number, int outcome, Slice reply) noexcept nogil
# A walk at a first node goes on with this child: so many others have been tried, and come to `best`.
cdef void first_go_on(Walk* walk, int child, int tried, int best) noexcept nogil
# Whether another server may be asked after this outcome; takes a token of the retry budget if that costs one.
cdef bint may_retry(Engine* engine, int outcome) noexcept nogil

cdef uint64_t random_number(Engine* engine) noexcept nogil

# Another server is asked because this is what the ask before came to.
cdef inline void failed_over(Engine* engine, int outcome) noexcept nogil:
    counter_add(&engine.counts.failovers[outcome], 1)
