"""Clients come from a listener of this loop, or from the loop that has accepted them."""

from mcroute._loop.state cimport Endpoint, Loop

cdef void listener_ready(Endpoint* listener) noexcept nogil
cdef void accepted_ready(Loop* loop) noexcept nogil
# Watches the listeners again after a pause, for want of descriptors or room.
cdef void listeners_check(Loop* loop) noexcept nogil
cdef void session_end(Endpoint* end) noexcept nogil
# Counts down the accepted clients, after the client's descriptor is closed.
cdef void room_release(Loop* loop) noexcept nogil

# ---- jobs ----

cdef struct Listening:
    int fd                      # listens, and does not block; the loop closes it
    int* share_with             # the caller's: pipes of the loops that divide the clients; NULL: this loop only
    int share_count
    bint is_done                # result: False if there are LISTENERS_MAX, or epoll cannot watch the socket

cdef void listeners_add(Loop* loop, void* listening) noexcept nogil
cdef void listeners_close(Loop* loop, void* nothing) noexcept nogil
