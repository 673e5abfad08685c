"""Walks: run a request through its plan, ask servers, and answer the request in the end."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport ClientRequest, Link, PlanNode, Server, Walk
from mcroute._hashing cimport hash_murmur3_32

cdef enum:
    LINK_SEED = 0x6C696E6B      # not the rings': a key's link must not depend on its server

# The request's topmost walk, which is not run yet.
cdef Walk* walk_top(ClientRequest* request, int node) noexcept nogil
# Runs the request's plan from its root.
cdef void walk_plan(ClientRequest* request) noexcept nogil
# Ends a walk. The callee takes references of its own to the reply; an empty slice if no server answered.
cdef void walk_end(Walk* walk, int outcome, Slice reply) noexcept nogil
# The request's deadline has come: answers it with a timeout. Its walks run on.
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
    """The key's link, always the same one: on another, a request could overtake an earlier one that timed out."""
    if server == NULL or server.link_count <= 1:
        return server.links[0] if server != NULL else NULL
    return server.links[hash_murmur3_32(key, size, LINK_SEED) % <uint32_t>server.link_count]
