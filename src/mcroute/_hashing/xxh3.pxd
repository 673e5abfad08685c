"""XXH3 by Yann Collet, 64 bits."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

cdef uint64_t hash_xxh3(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil
