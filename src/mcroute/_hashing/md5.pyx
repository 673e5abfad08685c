"""md5, RFC 1321. Own code, because hashlib needs the GIL and may refuse md5 where FIPS rules apply."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mcroute._hashing.buffers cimport hash32_of
from mcroute._hashing.words cimport load32, rotate32, store32

cdef enum:
    MD5_BLOCK = 64      # bytes

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


# A step: the first of the four turns into the next second. Every argument but the words is a constant where it is
# called, so that compilers leave nothing of tables and tests.
cdef inline uint32_t md5_step(uint32_t first, uint32_t second, uint32_t mixed, uint32_t word, int step,
                              int bits) noexcept nogil:
    return second + rotate32(first + mixed + MD5_SINES[step] + word, bits)


# Sixteen steps of one kind, four by four, so that no value has to move from one name to the next.
cdef inline void md5_round(uint32_t* state, const uint32_t* words, int kind, int stride, int offset, int one,
                           int two, int three, int four) noexcept nogil:
    cdef uint32_t a = state[0]
    cdef uint32_t b = state[1]
    cdef uint32_t c = state[2]
    cdef uint32_t d = state[3]
    cdef int step, at
    for step in range(0, 16, 4):
        at = stride * step + offset
        a = md5_step(a, b, md5_mix(kind, b, c, d), words[at & 15], 16 * kind + step, one)
        d = md5_step(d, a, md5_mix(kind, a, b, c), words[(at + stride) & 15], 16 * kind + step + 1, two)
        c = md5_step(c, d, md5_mix(kind, d, a, b), words[(at + 2 * stride) & 15], 16 * kind + step + 2, three)
        b = md5_step(b, c, md5_mix(kind, c, d, a), words[(at + 3 * stride) & 15], 16 * kind + step + 3, four)
    state[0] = a
    state[1] = b
    state[2] = c
    state[3] = d


cdef inline uint32_t md5_mix(int kind, uint32_t b, uint32_t c, uint32_t d) noexcept nogil:
    if kind == 0:
        return d ^ (b & (c ^ d))
    if kind == 1:
        return c ^ (d & (b ^ c))
    if kind == 2:
        return b ^ c ^ d
    return c ^ (b | ~d)


cdef void md5_block(uint32_t* state, const uint8_t* block) noexcept nogil:
    cdef uint32_t[16] words
    cdef uint32_t[4] mixed
    cdef int i
    for i in range(16):
        words[i] = load32(block + 4 * i)
    for i in range(4):
        mixed[i] = state[i]
    md5_round(mixed, words, 0, 1, 0, 7, 12, 17, 22)
    md5_round(mixed, words, 1, 5, 1, 5, 9, 14, 20)
    md5_round(mixed, words, 2, 3, 5, 4, 11, 16, 23)
    md5_round(mixed, words, 3, 7, 0, 6, 10, 15, 21)
    for i in range(4):
        state[i] += mixed[i]


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
    return hash32_of(data, hash_md5_ketama)
