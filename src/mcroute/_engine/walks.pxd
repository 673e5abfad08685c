"""Walking the plan: which server is asked next, and what the request is answered in the end."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport ClientRequest, Link, PlanNode, Server, Walk
from mcroute._hashing cimport hash_murmur3_32

cdef enum:
    LINK_SEED = 0x6C696E6B      # not the rings': which link it is must not depend on which server it is

# Runs the request's plan from its root.
cdef void walk_plan(ClientRequest* request) noexcept nogil
# An ask has ended. The reply is referred to where it is kept; an empty slice where no server answered.
cdef void walk_end(Walk* walk, int outcome, Slice reply) noexcept nogil
# The request's deadline has come: answers it as a timeout, and orphans what is still in flight for it.
cdef void walk_expire(ClientRequest* request) noexcept nogil

# For the nodes: a new walk below `parent`, or without one at the top (NULL without memory); running it, asking
# one server, carrying an outcome to the walk above without ending, and the end of its memory.
cdef Walk* walk_new(ClientRequest* request, Walk* parent, int node) noexcept nogil
cdef void walk_run(Walk* walk) noexcept nogil
cdef void walk_ask(Walk* walk, Server* server, Link* link) noexcept nogil
# Whether an ask of this server would end without being sent.
cdef bint walk_fails(Walk* walk, Server* server, Link* link) noexcept nogil
cdef void walk_carry(Walk* walk, Walk* parent, int outcome, Slice reply) noexcept nogil
cdef void walk_free(Walk* walk) noexcept nogil
# The node behind the switches; the server of an ask node for a key, NULL if the pool has none of that rank.
cdef int walk_resolve(ClientRequest* request, int node, const uint8_t* key, size_t size) noexcept nogil
cdef Server* walk_server(ClientRequest* request, PlanNode* node, const uint8_t* key, size_t size) noexcept nogil

cdef inline Link* walk_link(Server* server, const uint8_t* key, size_t size) noexcept nogil:
    """A key has one link, whoever asks: on two, a request could overtake an earlier one that timed out."""
    if server == NULL or server.link_count <= 1:
        return server.links[0] if server != NULL else NULL
    return server.links[hash_murmur3_32(key, size, LINK_SEED) % <uint32_t>server.link_count]
