"""What a reply means, and whether it is the one that was asked for."""

from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Walk
from mcroute._protocol cimport ReplyView

# What a reply of that kind means to the command, as Outcome; -1: no server says that to it.
cdef int reply_outcome(int kind, int command) noexcept nogil
# Whether the VALUE has the key that the walk has asked for; also if nobody waits for it.
cdef bint reply_is_asked(Walk* walk, const uint8_t* data, const ReplyView* view) noexcept nogil
