"""Clients come in: by a listener of this loop, or handed over by the loop that has accepted them."""

from mcroute._loop.state cimport Endpoint, Loop

cdef void listener_ready(Endpoint* listener) noexcept nogil
cdef void accepted_ready(Loop* loop) noexcept nogil
# Listens again after the system had no descriptor left.
cdef void listeners_check(Loop* loop) noexcept nogil
cdef void session_end(Endpoint* end) noexcept nogil
# A client that was accepted has no descriptor any more.
cdef void room_leave(Loop* loop) noexcept nogil

# ---- jobs ----

cdef struct Listening:
    int fd                      # listens, and does not block; the loop closes it
    int* share_with             # pipes of the loops among which clients are divided, kept by the caller; or NULL
    int share_count
    bint is_done                # False: no room, or the system cannot watch it

cdef void listeners_add(Loop* loop, void* listening) noexcept nogil
cdef void listeners_close(Loop* loop, void* nothing) noexcept nogil
