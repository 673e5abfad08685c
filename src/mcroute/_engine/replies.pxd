"""The outcome of a reply, and whether it has the key that was asked for."""

from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Walk
from mcroute._protocol cimport ReplyView

# The Outcome of a reply of that kind to the command; -1: no server sends such a reply.
cdef int reply_outcome(int kind, int command) noexcept nogil
# Whether the VALUE has the key that the walk has asked for. True if the walk is NULL.
cdef bint reply_is_asked(Walk* walk, const uint8_t* data, const ReplyView* view) noexcept nogil
