"""What goes out to a server: the client's bytes where they are canonical, else the request re-encoded."""

from libc.stdint cimport int32_t

from mcroute._engine.state cimport Link, Request, Walk

# Queues the walk's request on the link, with the reply that it will get. False: nothing was queued.
cdef bint send_request(Link* link, Walk* walk) noexcept nogil
