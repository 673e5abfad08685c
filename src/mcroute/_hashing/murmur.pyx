"""MurmurHash by Austin Appleby: 2 and 3."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._hashing.words cimport load32, load64, load_tail, rotate32, rotate64


cdef inline uint32_t finish32(uint32_t value) noexcept nogil:
    value = (value ^ (value >> 16)) * 0x85EBCA6BU
    value = (value ^ (value >> 13)) * 0xC2B2AE35U
    return value ^ (value >> 16)


cdef inline uint64_t finish64(uint64_t value) noexcept nogil:
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCDULL
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53ULL
    return value ^ (value >> 33)


cdef inline uint32_t scramble32(uint32_t word) noexcept nogil:
    return rotate32(word * 0xCC9E2D51U, 15) * 0x1B873593U


cdef inline uint64_t scramble_low(uint64_t word) noexcept nogil:
    return rotate64(word * 0x87C37B91114253D5ULL, 31) * 0x4CF5AD432745937FULL


cdef inline uint64_t scramble_high(uint64_t word) noexcept nogil:
    return rotate64(word * 0x4CF5AD432745937FULL, 33) * 0x87C37B91114253D5ULL


# MurmurHash3 x86 32 by Austin Appleby.
cdef uint32_t hash_murmur3_32(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil:
    cdef const uint8_t* at = data
    cdef size_t left = size
    cdef uint32_t value = seed
    while left >= 4:
        value = rotate32(value ^ scramble32(load32(at)), 13) * 5 + 0xE6546B64U
        at += 4
        left -= 4
    # The tail written out: most keys have one, and a loop over it costs as much as two whole words.
    if left == 3:
        value ^= scramble32(at[0] | (<uint32_t>at[1] << 8) | (<uint32_t>at[2] << 16))
    elif left == 2:
        value ^= scramble32(at[0] | (<uint32_t>at[1] << 8))
    elif left == 1:
        value ^= scramble32(at[0])
    return finish32(value ^ <uint32_t>size)


# MurmurHash3 x64 128 by Austin Appleby.
cdef void hash_murmur3_x64_128(const uint8_t* data, size_t size, uint32_t seed, uint64_t* out) noexcept nogil:
    cdef const uint8_t* at = data
    cdef size_t left = size
    cdef uint64_t low = seed
    cdef uint64_t high = seed
    while left >= 16:
        low = (rotate64(low ^ scramble_low(load64(at)), 27) + high) * 5 + 0x52DCE729U
        high = (rotate64(high ^ scramble_high(load64(at + 8)), 31) + low) * 5 + 0x38495AB5U
        at += 16
        left -= 16
    if left > 8:
        high ^= scramble_high(load_tail(at + 8, left - 8))
        left = 8
    if left:
        low ^= scramble_low(load_tail(at, left))
    low ^= size
    high ^= size
    low += high
    high += low
    low = finish64(low)
    high = finish64(high)
    low += high
    out[0] = low
    out[1] = high + low


# MurmurHash2, 32 bits.
cdef uint32_t hash_murmur2(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil:
    cdef uint32_t value = seed ^ <uint32_t>size
    cdef uint32_t word
    while size >= 4:
        word = load32(data) * 0x5BD1E995U
        word = (word ^ (word >> 24)) * 0x5BD1E995U
        value = (value * 0x5BD1E995U) ^ word
        data += 4
        size -= 4
    if size:
        value = (value ^ <uint32_t>load_tail(data, size)) * 0x5BD1E995U
    value = (value ^ (value >> 13)) * 0x5BD1E995U
    return value ^ (value >> 15)


# MurmurHash2 64A: the variant for 64-bit machines.
cdef uint64_t hash_murmur64a(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t value = seed ^ (size * 0xC6A4A7935BD1E995ULL)
    cdef uint64_t word
    while size >= 8:
        word = load64(data) * 0xC6A4A7935BD1E995ULL
        word = (word ^ (word >> 47)) * 0xC6A4A7935BD1E995ULL
        value = (value ^ word) * 0xC6A4A7935BD1E995ULL
        data += 8
        size -= 8
    if size:
        value = (value ^ load_tail(data, size)) * 0xC6A4A7935BD1E995ULL
    value = (value ^ (value >> 47)) * 0xC6A4A7935BD1E995ULL
    return value ^ (value >> 47)


def murmur3_32(data, uint32_t seed=0):
    """MurmurHash3 x86 32 of bytes-like `data`, 0 to 2**32 - 1.

    Raises TypeError when data is not bytes-like, OverflowError when seed is not in 0 to 2**32 - 1.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t value = hash_murmur3_32(<const uint8_t*>view.buf, view.len, seed)
    PyBuffer_Release(&view)
    return value


def murmur3_x64_128(data, uint32_t seed=0):
    """MurmurHash3 x64 128 of bytes-like `data`: the pair (low, high) of 64-bit halves.

    Raises TypeError when data is not bytes-like, OverflowError when seed is not in 0 to 2**32 - 1.
    """
    cdef Py_buffer view
    cdef uint64_t[2] halves
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    hash_murmur3_x64_128(<const uint8_t*>view.buf, view.len, seed, halves)
    PyBuffer_Release(&view)
    return halves[0], halves[1]
