"""What servers send: replies matched to the requests that they belong to."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Link, Walk
from mcroute._protocol cimport ReplyView

# Takes what has arrived on the link; on any doubt about what belongs to what, the link is broken.
cdef void link_input(Link* link) noexcept nogil
# There is no memory for the value that has begun: it is read past. False if what has begun is no value.
cdef bint link_skip(Link* link) noexcept nogil
# The connection is gone: everything expected on it ends as lost, or as not sent. It was the server's doing, or that of
# this process, which had no descriptor or memory left for it.
cdef void link_drop_expected(Link* link, bint is_ours) noexcept nogil
# The oldest request's reply has come, and means that.
cdef void link_complete(Link* link, int outcome, Slice reply) noexcept nogil
# What came does not fit what was asked: the link is broken.
cdef void link_desynced(Link* link, const uint8_t* data, size_t size) noexcept nogil
# What a reply of that kind means to the command, as Outcome; -1: no server says that to it.
cdef int reply_outcome(int kind, int command) noexcept nogil
# Whether the VALUE has the key that the walk has asked for; also if nobody waits for it.
cdef bint reply_is_asked(Walk* walk, const uint8_t* data, const ReplyView* view) noexcept nogil
