"""Key hashes: pure functions over bytes. The same result on every platform: unsigned types only.

The C functions are called hash_*; Python sees them under their plain names.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef uint32_t hash_murmur3_32(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil
# The two 64-bit halves of murmur3 x64 128 are written to out[0] (low) and out[1] (high).
cdef void hash_murmur3_x64_128(const uint8_t* data, size_t size, uint32_t seed, uint64_t* out) noexcept nogil
cdef uint32_t hash_fnv1_32(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t hash_fnv1a_32(const uint8_t* data, size_t size) noexcept nogil
cdef uint64_t hash_fnv1_64(const uint8_t* data, size_t size) noexcept nogil
cdef uint64_t hash_fnv1a_64(const uint8_t* data, size_t size) noexcept nogil
# FNV-1a with bytes from 0x80 up sign-extended first, as programs do that hash a C `char` where it is signed.
cdef uint64_t hash_fnv1a_64_signed(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t hash_crc32(const uint8_t* data, size_t size) noexcept nogil
cdef void hash_md5(const uint8_t* data, size_t size, uint8_t* digest) noexcept nogil
# The first four digest bytes, little-endian: how ketama turns md5 into a number.
cdef uint32_t hash_md5_ketama(const uint8_t* data, size_t size) noexcept nogil
