"""SHA-384, FIPS 180-4: the ElastiCache client for Java places keys by it."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from mcroute._hashing.words cimport load64_big, rotate64, store64_big

cdef enum:
    BLOCK = 128         # bytes
    ROUNDS = 80

# The first 64 bits of the fractions of the cube roots of the first 80 primes.
cdef uint64_t[ROUNDS] ROOTS
ROOTS[:] = [
    0x428a2f98d728ae22ULL, 0x7137449123ef65cdULL, 0xb5c0fbcfec4d3b2fULL, 0xe9b5dba58189dbbcULL,
    0x3956c25bf348b538ULL, 0x59f111f1b605d019ULL, 0x923f82a4af194f9bULL, 0xab1c5ed5da6d8118ULL,
    0xd807aa98a3030242ULL, 0x12835b0145706fbeULL, 0x243185be4ee4b28cULL, 0x550c7dc3d5ffb4e2ULL,
    0x72be5d74f27b896fULL, 0x80deb1fe3b1696b1ULL, 0x9bdc06a725c71235ULL, 0xc19bf174cf692694ULL,
    0xe49b69c19ef14ad2ULL, 0xefbe4786384f25e3ULL, 0x0fc19dc68b8cd5b5ULL, 0x240ca1cc77ac9c65ULL,
    0x2de92c6f592b0275ULL, 0x4a7484aa6ea6e483ULL, 0x5cb0a9dcbd41fbd4ULL, 0x76f988da831153b5ULL,
    0x983e5152ee66dfabULL, 0xa831c66d2db43210ULL, 0xb00327c898fb213fULL, 0xbf597fc7beef0ee4ULL,
    0xc6e00bf33da88fc2ULL, 0xd5a79147930aa725ULL, 0x06ca6351e003826fULL, 0x142929670a0e6e70ULL,
    0x27b70a8546d22ffcULL, 0x2e1b21385c26c926ULL, 0x4d2c6dfc5ac42aedULL, 0x53380d139d95b3dfULL,
    0x650a73548baf63deULL, 0x766a0abb3c77b2a8ULL, 0x81c2c92e47edaee6ULL, 0x92722c851482353bULL,
    0xa2bfe8a14cf10364ULL, 0xa81a664bbc423001ULL, 0xc24b8b70d0f89791ULL, 0xc76c51a30654be30ULL,
    0xd192e819d6ef5218ULL, 0xd69906245565a910ULL, 0xf40e35855771202aULL, 0x106aa07032bbd1b8ULL,
    0x19a4c116b8d2d0c8ULL, 0x1e376c085141ab53ULL, 0x2748774cdf8eeb99ULL, 0x34b0bcb5e19b48a8ULL,
    0x391c0cb3c5c95a63ULL, 0x4ed8aa4ae3418acbULL, 0x5b9cca4f7763e373ULL, 0x682e6ff3d6b2b8a3ULL,
    0x748f82ee5defb2fcULL, 0x78a5636f43172f60ULL, 0x84c87814a1f0ab72ULL, 0x8cc702081a6439ecULL,
    0x90befffa23631e28ULL, 0xa4506cebde82bde9ULL, 0xbef9a3f7b2c67915ULL, 0xc67178f2e372532bULL,
    0xca273eceea26619cULL, 0xd186b8c721c0c207ULL, 0xeada7dd6cde0eb1eULL, 0xf57d4f7fee6ed178ULL,
    0x06f067aa72176fbaULL, 0x0a637dc5a2c898a6ULL, 0x113f9804bef90daeULL, 0x1b710b35131c471bULL,
    0x28db77f523047d84ULL, 0x32caab7b40c72493ULL, 0x3c9ebe0a15c9bebcULL, 0x431d67c49c100d4cULL,
    0x4cc5d4becb3e42b6ULL, 0x597f299cfc657e2aULL, 0x5fcb6fab3ad6faecULL, 0x6c44198c4a475817ULL,
]


cdef inline uint64_t turned(uint64_t value, int one, int two, int three) noexcept nogil:
    return rotate64(value, 64 - one) ^ rotate64(value, 64 - two) ^ rotate64(value, 64 - three)


cdef void fill_schedule(uint64_t* words, const uint8_t* block) noexcept nogil:
    cdef uint64_t low, high
    cdef int i
    for i in range(16):
        words[i] = load64_big(block + 8 * i)
    for i in range(16, ROUNDS):
        low = words[i - 15]
        high = words[i - 2]
        low = rotate64(low, 63) ^ rotate64(low, 56) ^ (low >> 7)
        high = rotate64(high, 45) ^ rotate64(high, 3) ^ (high >> 6)
        words[i] = words[i - 16] + low + words[i - 7] + high


cdef void sha512_block(uint64_t* state, const uint8_t* block) noexcept nogil:
    cdef uint64_t[ROUNDS] words
    cdef uint64_t[8] s
    cdef uint64_t first, second
    cdef int i, j
    fill_schedule(words, block)
    memcpy(s, state, sizeof(s))
    for i in range(ROUNDS):
        first = s[7] + turned(s[4], 14, 18, 41) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + ROOTS[i] + words[i]
        second = turned(s[0], 28, 34, 39) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]))
        for j in range(7, 0, -1):
            s[j] = s[j - 1]
        s[4] += first
        s[0] = first + second
    for i in range(8):
        state[i] += s[i]


# Writes 48 bytes of digest.
cdef void hash_sha384(const uint8_t* data, size_t size, uint8_t* digest) noexcept nogil:
    cdef uint64_t[8] state
    cdef uint8_t[2 * BLOCK] last
    cdef size_t left = size
    cdef size_t padded
    cdef int i
    state[:] = [
        0xcbbb9d5dc1059ed8ULL, 0x629a292a367cd507ULL, 0x9159015a3070dd17ULL, 0x152fecd8f70e5939ULL,
        0x67332667ffc00b31ULL, 0x8eb44a8768581511ULL, 0xdb0c2e0d64f98fa7ULL, 0x47b5481dbefa4fa4ULL,
    ]
    while left >= BLOCK:
        sha512_block(state, data)
        data += BLOCK
        left -= BLOCK
    # One more block when the end mark and the 16 bytes of length do not fit behind the data.
    padded = BLOCK if left + 17 <= BLOCK else 2 * BLOCK
    memset(last, 0, sizeof(last))
    if left:
        memcpy(last, data, left)
    last[left] = 0x80
    store64_big(last + padded - 8, <uint64_t>size << 3)
    sha512_block(state, last)
    if padded > BLOCK:
        sha512_block(state, last + BLOCK)
    for i in range(6):
        store64_big(digest + 8 * i, state[i])
