from mcroute._loop.state cimport Loop

cdef enum:
    GATHER_MS = 1               # for replies of a batch to wait for the others: epoll_wait's shortest wait

# Sends the turn's output. `is_quiet`: epoll had no event in this turn.
cdef void loop_flush(Loop* loop, bint is_quiet) noexcept nogil
