"""Deletes a key from copies that may hold another value than the client's answer says.

The children of a walk are bits here: bit i is child i of its node. Walk.absent collects them, Walk.position counts
the undos under way.
"""

from libc.stdint cimport uint32_t

from mcroute._engine.state cimport Walk

cdef enum:
    UNDONE = -1                 # Walk.number of an undo

# The child's bit; 0 for a child that cannot be undone: it is no ask, or stands behind the 32nd.
cdef uint32_t undo_bit(Walk* walk, int child) noexcept nogil
# The bits of all children that can be undone.
cdef uint32_t undo_bits(Walk* walk) noexcept nogil
# Runs an undo at each of these children. Whether all have ended already; else the node's child_ends is called for each
# end, with UNDONE as the child.
cdef bint undo_children(Walk* walk, uint32_t bits) noexcept nogil
# An undo has ended: the walk ends with the last of them.
cdef void undo_ended(Walk* walk) noexcept nogil
