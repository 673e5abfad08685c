"""What goes out to a server: the client's bytes where they are canonical, else the request re-encoded."""

from mcroute._engine.state cimport Link, Walk

# Queues the walk's request on the link, with the reply that it will get. False: nothing was queued.
cdef bint send_request(Link* link, Walk* walk) noexcept nogil
