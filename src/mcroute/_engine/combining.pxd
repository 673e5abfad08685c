"""The nodes that have children, and those that have none to wait for."""

from libc.stdint cimport uint64_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.counters cimport counter_add
from mcroute._engine.state cimport Engine, PlanNode, Request, Server, Walk

# The walk has come to its node, which is no ask.
cdef void combine_start(Walk* walk, PlanNode* node) noexcept nogil
# A child has ended; `number` is its Walk.number.
cdef void combine_child_ended(Walk* walk, int number, int outcome, Slice reply) noexcept nogil
# A walk at a first node goes on with this child: so many others have been tried, and come to `best`.
cdef void first_go_on(Walk* walk, int child, int tried, int best) noexcept nogil
# Whether another server may be asked after this outcome; takes a token of the retry budget if that costs one.
cdef bint may_retry(Engine* engine, int outcome) noexcept nogil
# The ask is overdue, but its server, which is slow, may answer yet: whether another one is asked now instead. That is
# so where the plan has one that comes next, the reply is not expected in time, and the budget lasts; a write that must
# not happen twice stays. A route in Python is told in any case.
cdef bint walk_may_move(Walk* walk, Server* server, bint comes_in_time) noexcept nogil
# The request's deadline has come: whether it has its answer when the ask is not waited for any longer.
cdef bint walk_is_awaited_last(Walk* walk) noexcept nogil

# For the nodes: runs a child for a Purpose; keeps the outcome that Plan.merge prefers, or any; whether the request has
# ended, so that nothing is begun for it; holds the key if the request may have left.
cdef void run_child(Walk* walk, int index, int purpose) noexcept nogil
cdef void combine_take_if_better(Walk* walk, int outcome, Slice reply, bint always) noexcept nogil
cdef bint combine_is_over(Request* request) noexcept nogil
cdef void hold_if_sent(Walk* walk, int outcome) noexcept nogil

cdef uint64_t random_number(Engine* engine) noexcept nogil

# Another server is asked because this is what the ask before came to.
cdef inline void failed_over(Engine* engine, int outcome) noexcept nogil:
    counter_add(&engine.counts.failovers[outcome], 1)
