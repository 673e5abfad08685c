"""What clients send: requests, each started on the plan that is installed at that moment."""

from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Session
from mcroute._protocol cimport RequestView

# The group that policies know the command by, as policy.nodes.Group; -1: it is not routed by key.
cdef int request_group(const uint8_t* data, RequestView* view) noexcept nogil

# Takes what has arrived on the session, until it is paused or broken.
cdef void session_input(Session* session) noexcept nogil
# Refuses the value that has begun to come: the rest of it is read past. What has come is the caller's to drop. False if
# what has begun is no value.
cdef bint session_refuse(Session* session) noexcept nogil
