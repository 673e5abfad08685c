"""MurmurHash 2 and 3."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef uint32_t hash_murmur3_32(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil
# The two 64-bit halves of murmur3 x64 128 are written to out[0] (low) and out[1] (high).
cdef void hash_murmur3_x64_128(const uint8_t* data, size_t size, uint32_t seed, uint64_t* out) noexcept nogil
cdef uint32_t hash_murmur2(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil
cdef uint64_t hash_murmur64a(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil
