"""Replies to the requests of a refill: the flags v, f, t and c of a meta reply."""

from libc.stdint cimport int64_t, uint64_t

from mcroute._engine.blocks cimport Slice

cdef struct Item:
    Slice value
    uint64_t client_flags
    int64_t ttl                 # seconds left; -1: for ever, or not in the reply
    uint64_t cas                # 0: none
    bint is_stale               # marked as stale: its next reader has the task to store it anew

# False if the reply is no whole meta reply.
cdef bint item_parse(Slice reply, Item* item) noexcept nogil
