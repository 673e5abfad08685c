"""Hashes of Bob Jenkins and Paul Hsieh, with the signed bytes of libhashkit."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

cdef uint32_t hash_one_at_a_time(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t hash_lookup3(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t hash_hsieh(const uint8_t* data, size_t size) noexcept nogil
