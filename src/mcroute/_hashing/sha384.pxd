"""SHA-384."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

# Writes 48 bytes of digest.
cdef void hash_sha384(const uint8_t* data, size_t size, uint8_t* digest) noexcept nogil
