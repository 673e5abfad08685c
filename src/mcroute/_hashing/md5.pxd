"""md5, for placement."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

# Writes 16 bytes of digest.
cdef void hash_md5(const uint8_t* data, size_t size, uint8_t* digest) noexcept nogil
# The first four digest bytes, little-endian: how ketama turns md5 into a number.
cdef uint32_t hash_md5_ketama(const uint8_t* data, size_t size) noexcept nogil
