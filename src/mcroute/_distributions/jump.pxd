"""Jump hash, and the failover order of all distributions that number their servers."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._distributions.table cimport RingTable

cdef int jump_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
# The failover order of jump, furc, weighted_furc and const_shard: the owner, further results of jump hash, then
# from the last one index by index.
cdef int jump_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                   int* out) noexcept nogil
