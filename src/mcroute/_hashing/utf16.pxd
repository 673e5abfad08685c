"""Hashes over the UTF-16 units of a text, as Java programs hash a String. The text comes as UTF-8."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t


# The code point at the beginning of a text of at least one byte; returns how many bytes it takes. A byte that
# is not UTF-8 stands for itself.
cdef inline size_t utf8_next(const uint8_t* at, size_t size, uint32_t* point) noexcept nogil:
    cdef uint32_t first = at[0]
    cdef size_t more = 0 if first < 0xC2 else 1 if first < 0xE0 else 2 if first < 0xF0 else 3
    cdef uint32_t value = first & (0x3FU >> more)
    cdef size_t i
    point[0] = first
    if more == 0 or first > 0xF4 or size <= more:
        return 1
    for i in range(1, more + 1):
        if at[i] & 0xC0 != 0x80:
            return 1
        value = (value << 6) | (at[i] & 0x3F)
    # Longer than need be, half of a surrogate pair, or behind the last code point.
    if (more == 2 and value < 0x800) or (more == 3 and value < 0x10000) or 0xD800 <= value < 0xE000 \
            or value > 0x10FFFF:
        return 1
    point[0] = value
    return more + 1


cdef uint32_t hash_utf16_fnv1_32(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t hash_utf16_fnv1a_32(const uint8_t* data, size_t size) noexcept nogil
# The low halves of the 64-bit results.
cdef uint32_t hash_utf16_fnv1_64(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t hash_utf16_fnv1a_64(const uint8_t* data, size_t size) noexcept nogil
# java.lang.String.hashCode, unsigned.
cdef uint32_t hash_utf16_native(const uint8_t* data, size_t size) noexcept nogil
