"""Commands that must not run twice: the `then` node."""

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Walk

# The walk has come to a `then` node.
cdef void once_start(Walk* walk) noexcept nogil
# A child has ended; undos excepted, whose end is the walk's.
cdef void once_child_ended(Walk* walk, int child, int outcome, Slice reply) noexcept nogil
