"""The group of a request's command, by which policies route it, and the variant of a meta request."""

from libc.stdint cimport uint8_t

from mcroute._engine.state cimport ClientRequest
from mcroute._protocol cimport RequestView

# The group of the command, as policy.nodes.Group; -1: it is not routed by key.
cdef int request_group(const uint8_t* data, RequestView* view) noexcept nogil
# Of a meta request that has ended, as state.Variant; -1: none of them.
cdef int meta_variant(ClientRequest* request) noexcept nogil
# Whether the request may leave an item, or extend the lifetime of one.
cdef bint request_may_store(ClientRequest* request) noexcept nogil
# Whether the request creates a missing item that it is to change (ma, and ms to append or prepend, with N).
cdef bint meta_vivifies(ClientRequest* request) noexcept nogil
