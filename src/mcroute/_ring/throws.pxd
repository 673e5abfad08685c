"""Servers thrown for by number: jump hash, mcrouter's Ch3 with and without weights, shards named in the key."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._ring.table cimport RingTable

cdef int jump_hash(uint64_t key, int size) noexcept nogil
cdef uint32_t furc_hash(const uint8_t* text, size_t size, uint32_t servers) noexcept nogil

cdef int jump_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
cdef int furc_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
cdef int weighted_furc_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
cdef int const_shard_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
# The failover order of all of them: the owner, further throws of jump hash, then on from the last one index by
# index.
cdef int throws_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                     int* out) noexcept nogil
