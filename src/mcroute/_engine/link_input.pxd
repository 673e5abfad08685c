"""Input of links: parses replies, and matches them to their requests."""

from mcroute._engine.state cimport Link

# Parses the link's input. If a reply may not belong to the oldest request, the link is broken.
cdef void link_input(Link* link) noexcept nogil
# Skips the value at the front of the input, for want of memory. False if there is no value at the front.
cdef bint link_skip(Link* link) noexcept nogil
