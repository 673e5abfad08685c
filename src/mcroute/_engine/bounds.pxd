"""Limits of values and of memory: as configured, and as servers report them."""

from libc.stdint cimport uint32_t, uint64_t

from mcroute._engine.state cimport Engine, Server

cdef struct Bounds:             # policy.Limits in C, of one engine; bytes
    uint64_t value              # of clients' requests; 0: the largest that a server stores
    uint64_t requests
    uint64_t replies
    uint64_t links
    int authentication          # Authentication
    uint32_t link_requests      # unanswered, of one link
    uint64_t link_bytes         # unsent, of one link
    uint32_t link_orphans       # with more orphans a link is closed
    double link_orphan_age      # seconds, likewise
    double refill_rate          # keys a second
    double refill_hold_off      # seconds

cdef struct ValueLimits:
    int server
    uint64_t size               # of the largest value that it stores
    uint32_t flags_size         # bytes of the client flags that it keeps

# `limits` is a policy.Limits.
cdef Bounds bounds_of(limits) except *
cdef void engine_set_bounds(Engine* engine, const Bounds* bounds) noexcept nogil
# Takes the limits that the server has reported. No effect if there is no such server.
cdef void server_set_value_limits(Engine* engine, const ValueLimits* reported) noexcept nogil
# Compute the limits of a server, and of the engine. Call when a value has changed that the limits depend on.
cdef void server_bound_values(Server* server) noexcept nogil
cdef void engine_bound_values(Engine* engine) noexcept nogil
