"""Points on a circle, and slots: looking up."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._distributions.table cimport RingTable

cdef int points_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
# The owners of several texts; their places in the table are asked for ahead.
cdef void points_owners(const RingTable* table, const uint8_t** texts, size_t* sizes, size_t count,
                        int* owners) noexcept nogil
cdef int wide_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
cdef int slots_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
# The failover order is the order of first appearance, walking on from the key.
cdef int points_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                     int* out) noexcept nogil
cdef int wide_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                   int* out) noexcept nogil
cdef int slots_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                    int* out) noexcept nogil
# The server of a place on the circle.
cdef int points_at(const RingTable* table, uint32_t place) noexcept nogil
