"""SpookyHash V2 by Bob Jenkins: one form for up to 191 bytes, another from 192 on."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mcroute._hashing.words cimport load64, load_tail, rotate64

cdef enum:
    WORDS = 12
    BLOCK = 96          # bytes: WORDS words
    SHORT_END = 192     # bytes: from here on the long form

cdef uint64_t CONSTANT = 0xDEADBEEFDEADBEEFULL

# Of the word that each step turns, step by step.
cdef uint8_t[12] SHORT_TURNS
SHORT_TURNS[:] = [50, 52, 30, 41, 54, 48, 38, 37, 62, 34, 5, 36]
cdef uint8_t[11] SHORT_LAST_TURNS
SHORT_LAST_TURNS[:] = [15, 52, 26, 51, 28, 9, 47, 54, 32, 25, 63]
cdef uint8_t[12] TURNS
TURNS[:] = [11, 32, 43, 31, 17, 28, 39, 57, 55, 54, 22, 46]
cdef uint8_t[12] LAST_TURNS
LAST_TURNS[:] = [44, 15, 34, 21, 38, 33, 10, 13, 38, 53, 42, 54]


cdef inline void short_mix(uint64_t* h) noexcept nogil:
    cdef int step, turned
    for step in range(12):
        turned = (step + 2) & 3
        h[turned] = rotate64(h[turned], SHORT_TURNS[step]) + h[(step + 3) & 3]
        h[step & 3] ^= h[turned]


cdef inline void short_last(uint64_t* h) noexcept nogil:
    cdef int step, turned, mixed
    for step in range(11):
        turned = (step + 2) & 3
        mixed = (step + 3) & 3
        h[mixed] ^= h[turned]
        h[turned] = rotate64(h[turned], SHORT_LAST_TURNS[step])
        h[mixed] += h[turned]


cdef uint32_t spooky_short(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil:
    cdef uint64_t[4] h
    cdef size_t left = size
    h[0] = h[1] = seed
    h[2] = h[3] = CONSTANT
    while left >= 32:
        h[2] += load64(data)
        h[3] += load64(data + 8)
        short_mix(h)
        h[0] += load64(data + 16)
        h[1] += load64(data + 24)
        data += 32
        left -= 32
    if left >= 16:
        h[2] += load64(data)
        h[3] += load64(data + 8)
        short_mix(h)
        data += 16
        left -= 16
    h[3] += <uint64_t>size << 56
    if left == 0:
        h[2] += CONSTANT
        h[3] += CONSTANT
    elif left < 8:
        h[2] += load_tail(data, left)
    else:
        h[2] += load64(data)
        h[3] += load_tail(data + 8, left - 8)
    short_last(h)
    return <uint32_t>h[0]


cdef inline void long_mix(uint64_t* h, const uint8_t* block) noexcept nogil:
    cdef int i
    for i in range(WORDS):
        h[i] += load64(block + 8 * i)
        h[(i + 2) % WORDS] ^= h[(i + 10) % WORDS]
        h[(i + 11) % WORDS] ^= h[i]
        h[i] = rotate64(h[i], TURNS[i])
        h[(i + 11) % WORDS] += h[(i + 1) % WORDS]


cdef inline void long_last(uint64_t* h) noexcept nogil:
    cdef int i, turned
    for i in range(WORDS):
        turned = (i + 1) % WORDS
        h[(i + 11) % WORDS] += h[turned]
        h[(i + 2) % WORDS] ^= h[(i + 11) % WORDS]
        h[turned] = rotate64(h[turned], LAST_TURNS[i])


cdef uint32_t spooky_long(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil:
    cdef uint64_t[WORDS] h
    cdef uint8_t[BLOCK] last
    cdef int i, _last_round
    for i in range(WORDS):
        h[i] = CONSTANT if i % 3 == 2 else seed
    while size >= BLOCK:
        long_mix(h, data)
        data += BLOCK
        size -= BLOCK
    memset(last, 0, BLOCK)
    memcpy(last, data, size)
    last[BLOCK - 1] = <uint8_t>size
    for i in range(WORDS):
        h[i] += load64(last + 8 * i)
    for _last_round in range(3):
        long_last(h)
    return <uint32_t>h[0]


cdef uint32_t hash_spooky32(const uint8_t* data, size_t size, uint32_t seed) noexcept nogil:
    return spooky_short(data, size, seed) if size < SHORT_END else spooky_long(data, size, seed)
