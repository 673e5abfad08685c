"""The lifetimes that servers get: as the client says, or shorter where the server stands in for others."""

from libc.stdint cimport int64_t

from mcroute._engine.state cimport Walk

# The lifetime that the ask's server gets for a client's lifetime, both as in memcached's commands.
cdef int64_t walk_exptime(Walk* walk, int64_t exptime) noexcept nogil

# Whether the ask's server gets shorter lifetimes than the client has said.
cdef inline bint walk_is_capped(const Walk* walk) noexcept nogil:
    return walk.request.plan.caps_lifetimes and walk.request.plan.nodes[walk.node].ttl_max > 0
