"""The `then` node, for commands that must not run twice."""

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport PlanNode, Walk

cdef void once_begins(Walk* walk, PlanNode* node) noexcept nogil
cdef void once_child_ends(Walk* walk, int child, int outcome, Slice reply) noexcept nogil
