"""mcrouter's Ch3 and WeightedCh3."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._distributions.table cimport RingTable

cdef int furc_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
cdef int weighted_furc_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
