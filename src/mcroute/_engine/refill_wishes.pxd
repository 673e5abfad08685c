"""Keys to be refilled: wished by reads that missed them on one copy and found them on another, or fed by the driver."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.refill_list cimport Refill, Refills
from mcroute._engine.state cimport ClientRequest, Engine, Server

# NULL without memory.
cdef Refills* refills_new() noexcept nogil
cdef void refills_free(Engine* engine) noexcept nogil

# A read of the key found it at `source`, and missed it at `target`. Beyond the rate, or without room, it is dropped.
cdef void refill_wish(
    Engine* engine, const uint8_t* key, size_t size, bint is_base64, Server* source, Server* target
) noexcept nogil
# Wishes for the children that are set in `missed`, of a `first` node whose child `found` has the key.
cdef void refill_wish_children(
    ClientRequest* request, int node, uint32_t missed, int found, const uint8_t* key, size_t size
) noexcept nogil
# Whether the reply to the read may be copied: not an item that is marked as stale, whose next reader has a task.
cdef bint refill_is_fresh(ClientRequest* request, Slice reply) noexcept nogil
# Appends a key to be copied. False without room.
cdef bint refill_feed(
    Engine* engine, const uint8_t* key, size_t size, bint is_base64, int source, int target
) noexcept nogil
# A refill ends; its memory is freed.
cdef void refill_free(Engine* engine, Refill* refill) noexcept nogil

# Grows with each failure, ejection and restore of the server: with equal marks it has served all the time between.
cdef uint64_t refill_mark(const Server* server) noexcept nogil
