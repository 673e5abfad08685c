"""Hashes of Bob Jenkins (one-at-a-time, lookup3) and Paul Hsieh (SuperFastHash), as libhashkit has them.

libhashkit reads keys as C `char`, which has a sign on x86: where that shows, it is reproduced on every machine.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int32_t, uint8_t, uint32_t

from mcroute._hashing.words cimport load32, load_tail, rotate32

cdef enum:
    LOOKUP3_START = 13


cdef inline uint32_t signed_byte(uint8_t byte) noexcept nogil:
    return <uint32_t><int32_t><int8_t>byte


cdef uint32_t hash_one_at_a_time(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = 0
    cdef size_t i
    for i in range(size):
        value += signed_byte(data[i])
        value += value << 10
        value ^= value >> 6
    value += value << 3
    value ^= value >> 11
    return value + (value << 15)


cdef inline void lookup3_mix(uint32_t* words) noexcept nogil:
    cdef uint32_t a = words[0]
    cdef uint32_t b = words[1]
    cdef uint32_t c = words[2]
    a = (a - c) ^ rotate32(c, 4)
    c += b
    b = (b - a) ^ rotate32(a, 6)
    a += c
    c = (c - b) ^ rotate32(b, 8)
    b += a
    a = (a - c) ^ rotate32(c, 16)
    c += b
    b = (b - a) ^ rotate32(a, 19)
    a += c
    c = (c - b) ^ rotate32(b, 4)
    b += a
    words[0] = a
    words[1] = b
    words[2] = c


cdef inline uint32_t lookup3_final(uint32_t a, uint32_t b, uint32_t c) noexcept nogil:
    c = (c ^ b) - rotate32(b, 14)
    a = (a ^ c) - rotate32(c, 11)
    b = (b ^ a) - rotate32(a, 25)
    c = (c ^ b) - rotate32(b, 16)
    a = (a ^ c) - rotate32(c, 4)
    b = (b ^ a) - rotate32(a, 14)
    return (c ^ b) - rotate32(b, 24)


# lookup3's hashlittle, which reads words little-endian.
cdef uint32_t hash_lookup3(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t[3] words
    cdef size_t part
    cdef int i
    words[0] = words[1] = words[2] = 0xDEADBEEFU + <uint32_t>size + LOOKUP3_START
    while size > 12:
        for i in range(3):
            words[i] += load32(data + 4 * i)
        lookup3_mix(words)
        data += 12
        size -= 12
    if size == 0:
        return words[2]
    for i in range(3):
        part = min(size, <size_t>4)
        words[i] += <uint32_t>load_tail(data, part)
        data += part
        size -= part
    return lookup3_final(words[0], words[1], words[2])


# SuperFastHash. Of a tail of three bytes only the last has a sign.
cdef uint32_t hash_hsieh(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = 0
    if size == 0:
        return 0
    while size >= 4:
        value += <uint32_t>load_tail(data, 2)
        value = (value << 16) ^ ((<uint32_t>load_tail(data + 2, 2) << 11) ^ value)
        value += value >> 11
        data += 4
        size -= 4
    if size == 3:
        value += <uint32_t>load_tail(data, 2)
        value ^= value << 16
        value ^= signed_byte(data[2]) << 18
        value += value >> 11
    elif size == 2:
        value += <uint32_t>load_tail(data, 2)
        value ^= value << 11
        value += value >> 17
    elif size == 1:
        value += data[0]
        value ^= value << 10
        value += value >> 1
    value ^= value << 3
    value += value >> 5
    value ^= value << 4
    value += value >> 17
    value ^= value << 25
    return value + (value >> 6)
