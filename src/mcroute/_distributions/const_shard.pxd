"""mcrouter's ConstShard: servers numbered in the keys."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._distributions.table cimport RingTable

cdef int const_shard_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
