"""Key hashes over bytes, for C callers without the GIL and, under the same names without hash_, for Python.

Every word is assembled from single bytes, so that alignment and byte order of the machine do not matter;
compilers turn that into one load where they may.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    MD5_BLOCK = 64      # bytes

cdef uint32_t FNV_32_OFFSET = 0x811C9DC5
cdef uint32_t FNV_32_PRIME = 0x01000193
cdef uint64_t FNV_64_OFFSET = 0xCBF29CE484222325ULL
cdef uint64_t FNV_64_PRIME = 0x100000001B3ULL

# floor(2**32 * abs(sin(i + 1))), RFC 1321; written out because sin() differs between C libraries.
cdef uint32_t[64] MD5_SINES
MD5_SINES[:] = [
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
]
cdef uint8_t[16] MD5_ROTATIONS
MD5_ROTATIONS[:] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]

# CRC_TABLE[k][b]: the remainder of byte b followed by k zero bytes.
cdef uint32_t[8][256] CRC_TABLE


cdef void fill_crc_table() noexcept nogil:
    cdef uint32_t value
    cdef int byte, k, _bit
    for byte in range(256):
        value = byte
        for _bit in range(8):
            value = (value >> 1) ^ (0xEDB88320U & (0U - (value & 1)))
        CRC_TABLE[0][byte] = value
    for byte in range(256):
        for k in range(1, 8):
            value = CRC_TABLE[k - 1][byte]
            CRC_TABLE[k][byte] = (value >> 8) ^ CRC_TABLE[0][value & 0xFF]


fill_crc_table()


cdef inline uint32_t load32(const uint8_t* at) noexcept nogil:
    return at[0] | (<uint32_t>at[1] << 8) | (<uint32_t>at[2] << 16) | (<uint32_t>at[3] << 24)


cdef inline uint64_t load64(const uint8_t* at) noexcept nogil:
    return (
        at[0]
        | (<uint64_t>at[1] << 8)
        | (<uint64_t>at[2] << 16)
        | (<uint64_t>at[3] << 24)
        | (<uint64_t>at[4] << 32)
        | (<uint64_t>at[5] << 40)
        | (<uint64_t>at[6] << 48)
        | (<uint64_t>at[7] << 56)
    )


# The last 0 to 8 bytes as a little-endian number.
cdef inline uint64_t load_tail(const uint8_t* at, size_t size) noexcept nogil:
    cdef uint64_t value = 0
    while size:
        size -= 1
        value = (value << 8) | at[size]
    return value


cdef inline void store32(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>value
    at[1] = <uint8_t>(value >> 8)
    at[2] = <uint8_t>(value >> 16)
    at[3] = <uint8_t>(value >> 24)


cdef inline uint32_t rotate32(uint32_t value, int bits) noexcept nogil:
    return (value << bits) | (value >> (32 - bits))


cdef inline uint64_t rotate64(uint64_t value, int bits) noexcept nogil:
    return (value << bits) | (value >> (64 - bits))


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


# Fowler, Noll, Vo: FNV-1 multiplies first, FNV-1a mixes the byte in first.
cdef uint32_t hash_fnv1_32(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = FNV_32_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value * FNV_32_PRIME) ^ data[i]
    return value


cdef uint32_t hash_fnv1a_32(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = FNV_32_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value ^ data[i]) * FNV_32_PRIME
    return value


cdef uint64_t hash_fnv1_64(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t value = FNV_64_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value * FNV_64_PRIME) ^ data[i]
    return value


cdef uint64_t hash_fnv1a_64(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t value = FNV_64_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value ^ data[i]) * FNV_64_PRIME
    return value


cdef uint64_t hash_fnv1a_64_signed(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t value = FNV_64_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value ^ <uint64_t><int64_t><int8_t>data[i]) * FNV_64_PRIME
    return value


# CRC-32 of ISO 3309 (zlib's), eight bytes a step: "slicing by 8", Kounavis and Berry, 2005.
cdef uint32_t hash_crc32(const uint8_t* data, size_t size) noexcept nogil:
    cdef const uint8_t* at = data
    cdef uint32_t value = 0xFFFFFFFFU
    cdef uint32_t next_word
    while size >= 8:
        value ^= load32(at)
        next_word = load32(at + 4)
        value = (
            CRC_TABLE[7][value & 0xFF]
            ^ CRC_TABLE[6][(value >> 8) & 0xFF]
            ^ CRC_TABLE[5][(value >> 16) & 0xFF]
            ^ CRC_TABLE[4][value >> 24]
            ^ CRC_TABLE[3][next_word & 0xFF]
            ^ CRC_TABLE[2][(next_word >> 8) & 0xFF]
            ^ CRC_TABLE[1][(next_word >> 16) & 0xFF]
            ^ CRC_TABLE[0][next_word >> 24]
        )
        at += 8
        size -= 8
    while size:
        value = (value >> 8) ^ CRC_TABLE[0][(value ^ at[0]) & 0xFF]
        at += 1
        size -= 1
    return value ^ 0xFFFFFFFFU


cdef void md5_block(uint32_t* state, const uint8_t* block) noexcept nogil:
    cdef uint32_t[16] words
    cdef uint32_t a = state[0]
    cdef uint32_t b = state[1]
    cdef uint32_t c = state[2]
    cdef uint32_t d = state[3]
    cdef uint32_t mixed
    cdef int i, word
    for i in range(16):
        words[i] = load32(block + 4 * i)
    for i in range(64):
        if i < 16:
            mixed = (b & c) | (~b & d)
            word = i
        elif i < 32:
            mixed = (d & b) | (~d & c)
            word = (5 * i + 1) & 15
        elif i < 48:
            mixed = b ^ c ^ d
            word = (3 * i + 5) & 15
        else:
            mixed = c ^ (b | ~d)
            word = (7 * i) & 15
        mixed += a + MD5_SINES[i] + words[word]
        a = d
        d = c
        c = b
        b += rotate32(mixed, MD5_ROTATIONS[((i >> 4) << 2) | (i & 3)])
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d


# RFC 1321. Own code, because hashlib needs the GIL and may refuse md5 where FIPS rules apply.
cdef void hash_md5(const uint8_t* data, size_t size, uint8_t* digest) noexcept nogil:
    cdef uint32_t[4] state
    cdef uint8_t[2 * MD5_BLOCK] last
    cdef size_t left = size
    cdef size_t padded
    cdef int i
    state[0] = 0x67452301U
    state[1] = 0xEFCDAB89U
    state[2] = 0x98BADCFEU
    state[3] = 0x10325476U
    while left >= MD5_BLOCK:
        md5_block(state, data)
        data += MD5_BLOCK
        left -= MD5_BLOCK
    # One more block when the end mark and the 8 bytes of length do not fit behind the data.
    padded = MD5_BLOCK if left + 9 <= MD5_BLOCK else 2 * MD5_BLOCK
    memset(last, 0, sizeof(last))
    if left:
        memcpy(last, data, left)
    last[left] = 0x80
    store32(last + padded - 8, <uint32_t>(<uint64_t>size << 3))
    store32(last + padded - 4, <uint32_t>(<uint64_t>size >> 29))
    md5_block(state, last)
    if padded > MD5_BLOCK:
        md5_block(state, last + MD5_BLOCK)
    for i in range(4):
        store32(digest + 4 * i, state[i])


cdef uint32_t hash_md5_ketama(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint8_t[16] digest
    hash_md5(data, size, digest)
    return load32(digest)


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


def fnv1_32(data):
    """32-bit FNV-1 of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t value = hash_fnv1_32(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def fnv1a_32(data):
    """32-bit FNV-1a of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t value = hash_fnv1a_32(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def fnv1_64(data):
    """64-bit FNV-1 of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint64_t value = hash_fnv1_64(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def fnv1a_64(data):
    """64-bit FNV-1a of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint64_t value = hash_fnv1a_64(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def fnv1a_64_signed(data):
    """64-bit FNV-1a with bytes from 0x80 up sign-extended, as twemproxy hashes on x86.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint64_t value = hash_fnv1a_64_signed(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def crc32(data):
    """CRC-32 (ISO 3309, zlib's) of bytes-like `data`, whole 32 bits.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t value = hash_crc32(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def md5(data):
    """The 16-byte md5 digest of bytes-like `data`. For placement, not for security.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    cdef uint8_t[16] digest
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    hash_md5(<const uint8_t*>view.buf, view.len, digest)
    PyBuffer_Release(&view)
    return (<char*>digest)[:16]


def md5_ketama(data):
    """The first four md5 digest bytes of bytes-like `data` as a little-endian number.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t value = hash_md5_ketama(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value
