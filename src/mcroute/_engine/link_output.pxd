"""Output of links: the client's bytes if they are canonical, else the request encoded again."""

from mcroute._engine.state cimport Link, Walk

# Queues the walk's request on the link, and expects its reply. False without memory: a part may be queued.
cdef bint send_request(Link* link, Walk* walk) noexcept nogil
