from mcroute._loop.state cimport Loop

cdef enum:
    GATHER_MS = 1               # that replies of a batch wait for the others; what epoll_wait can wait at least

# Sends what the turn has gathered. `is_quiet`: the system had nothing for it.
cdef void loop_flush(Loop* loop, bint is_quiet) noexcept nogil
