"""Hashes over the UTF-16 units of a text, as Java programs hash a String. The text comes as UTF-8."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef uint64_t FNV_32_OFFSET = 0x811C9DC5
cdef uint64_t FNV_32_PRIME = 0x01000193
cdef uint64_t FNV_64_OFFSET = 0xCBF29CE484222325ULL
cdef uint64_t FNV_64_PRIME = 0x100000001B3ULL


# Units of the next code point, one or two, and how many there are.
cdef inline int next_units(const uint8_t** at, const uint8_t* end, uint32_t* units) noexcept nogil:
    at[0] += utf8_next(at[0], end - at[0], units)
    if units[0] < 0x10000:
        return 1
    units[1] = 0xDC00 + (units[0] & 0x3FF)
    units[0] = 0xD7C0 + (units[0] >> 10)
    return 2


cdef inline uint64_t fnv1(const uint8_t* data, size_t size, uint64_t value, uint64_t prime) noexcept nogil:
    cdef uint32_t[2] units
    cdef const uint8_t* end = data + size
    cdef int i
    while data < end:
        for i in range(next_units(&data, end, units)):
            value = (value * prime) ^ units[i]
    return value


cdef inline uint64_t fnv1a(const uint8_t* data, size_t size, uint64_t value, uint64_t prime) noexcept nogil:
    cdef uint32_t[2] units
    cdef const uint8_t* end = data + size
    cdef int i
    while data < end:
        for i in range(next_units(&data, end, units)):
            value = (value ^ units[i]) * prime
    return value


cdef uint32_t hash_utf16_fnv1_32(const uint8_t* data, size_t size) noexcept nogil:
    return <uint32_t>fnv1(data, size, FNV_32_OFFSET, FNV_32_PRIME)


cdef uint32_t hash_utf16_fnv1a_32(const uint8_t* data, size_t size) noexcept nogil:
    return <uint32_t>fnv1a(data, size, FNV_32_OFFSET, FNV_32_PRIME)


cdef uint32_t hash_utf16_fnv1_64(const uint8_t* data, size_t size) noexcept nogil:
    return <uint32_t>fnv1(data, size, FNV_64_OFFSET, FNV_64_PRIME)


cdef uint32_t hash_utf16_fnv1a_64(const uint8_t* data, size_t size) noexcept nogil:
    return <uint32_t>fnv1a(data, size, FNV_64_OFFSET, FNV_64_PRIME)


cdef uint32_t hash_utf16_native(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t[2] units
    cdef const uint8_t* end = data + size
    cdef uint32_t value = 0
    cdef int i
    while data < end:
        for i in range(next_units(&data, end, units)):
            value = value * 31 + units[i]
    return value
