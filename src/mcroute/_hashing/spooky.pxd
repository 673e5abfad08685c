"""SpookyHash V2 by Bob Jenkins."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

# Hash32: the low half of the first word of Hash128 with both seeds equal.
cdef uint32_t hash_spooky32(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil
