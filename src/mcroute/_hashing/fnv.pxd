"""The hash of Fowler, Noll and Vo: FNV-1 multiplies first, FNV-1a mixes the byte in first."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef uint32_t hash_fnv1_32(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t hash_fnv1a_32(const uint8_t* data, size_t size) noexcept nogil
cdef uint64_t hash_fnv1_64(const uint8_t* data, size_t size) noexcept nogil
cdef uint64_t hash_fnv1a_64(const uint8_t* data, size_t size) noexcept nogil
# With bytes from 0x80 up sign-extended first, as programs do that hash a C `char` where it is signed.
cdef uint32_t hash_fnv1_32_signed(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t hash_fnv1a_32_signed(const uint8_t* data, size_t size) noexcept nogil
cdef uint64_t hash_fnv1_64_signed(const uint8_t* data, size_t size) noexcept nogil
cdef uint64_t hash_fnv1a_64_signed(const uint8_t* data, size_t size) noexcept nogil
