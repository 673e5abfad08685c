"""Input of links: replies out of bytes, matched to the requests that they belong to."""

from mcroute._engine.state cimport Link

# Takes what has arrived on the link; on any doubt about what belongs to what, the link is broken.
cdef void link_input(Link* link) noexcept nogil
# There is no memory for the value that has begun: it is read past. False if what has begun is no value.
cdef bint link_skip(Link* link) noexcept nogil
