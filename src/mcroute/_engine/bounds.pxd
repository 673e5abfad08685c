"""How large values may be, and how much memory there is: as configured, and as servers say."""

from libc.stdint cimport uint32_t, uint64_t

from mcroute._engine.state cimport Engine, Server

cdef struct Bounds:             # policy.Limits in C, of one engine; bytes
    uint64_t value              # of clients' requests; 0: the largest that a server takes
    uint64_t requests
    uint64_t replies
    uint64_t links
    int authentication          # Authentication
    uint32_t link_requests      # unanswered, of one link
    uint64_t link_bytes         # unsent, of one link
    uint32_t link_orphans       # before the link is given up
    double link_orphan_age      # seconds, likewise

cdef struct Said:
    int server
    uint64_t size               # of the largest value that it stores
    uint32_t flags_size         # bytes of the client flags that it keeps

# `limits` is a policy.Limits.
cdef Bounds bounds_of(limits) except *
cdef void engine_set_bounds(Engine* engine, const Bounds* bounds) noexcept nogil
# The server has said so itself. Without effect if there is no such server.
cdef void server_said(Engine* engine, const Said* said) noexcept nogil
# To be called when one of the things has changed that the bound follows from.
cdef void server_bound_values(Server* server) noexcept nogil
cdef void engine_bound_values(Engine* engine) noexcept nogil
