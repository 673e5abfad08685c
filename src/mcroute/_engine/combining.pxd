"""Nodes that combine their children, and constants: called when a walk reaches one, and when a child ends."""

from libc.stdint cimport uint32_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport PlanNode, Walk

cdef void first_begins(Walk* walk, PlanNode* node) noexcept nogil
cdef void first_child_ends(Walk* walk, int child, int outcome, Slice reply) noexcept nogil
cdef void all_begins(Walk* walk, PlanNode* node) noexcept nogil
cdef void all_child_ends(Walk* walk, int child, int outcome, Slice reply) noexcept nogil
cdef void detach_begins(Walk* walk, PlanNode* node) noexcept nogil
cdef void constant_begins(Walk* walk, PlanNode* node) noexcept nogil

# A walk at a first node goes on with `child`: `tried` other children were tried, with the outcome `best`.
cdef void first_ask_next(Walk* walk, int child, int tried, int best) noexcept nogil
# The same, while an earlier child has not answered.
cdef void first_hedge(Walk* walk, int child) noexcept nogil
# The bits of the `tried` children that are asked before `child`.
cdef uint32_t first_children_before(const PlanNode* node, int child, int tried) noexcept nogil
# For the nodes: runs a child for a Purpose; keeps the outcome that Plan.merge prefers, or with `always` the last one;
# holds the key if the request may have been sent.
cdef void run_child(Walk* walk, int index, int purpose) noexcept nogil
cdef void combine_take_if_better(Walk* walk, int outcome, Slice reply, bint always) noexcept nogil
cdef void hold_if_sent(Walk* walk, int outcome) noexcept nogil
