"""XXH3 by Yann Collet, 64 bits, with a seed: a form of its own for each class of lengths."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._hashing.words cimport load32, load64, rotate64, store64, swap32, swap64

cdef enum:
    SECRET = 192        # bytes
    STRIPE = 64         # bytes
    STRIPES = 16        # a block; the secret moves on by 8 bytes with each
    LANES = 8
    MIDDLE_MAX = 240    # bytes; longer input is taken in stripes

cdef uint64_t PRIME32_1 = 0x9E3779B1U
cdef uint64_t PRIME32_2 = 0x85EBCA77U
cdef uint64_t PRIME32_3 = 0xC2B2AE3DU
cdef uint64_t PRIME64_1 = 0x9E3779B185EBCA87ULL
cdef uint64_t PRIME64_2 = 0xC2B2AE3D27D4EB4FULL
cdef uint64_t PRIME64_3 = 0x165667B19E3779F9ULL
cdef uint64_t PRIME64_4 = 0x85EBCA77C2B2AE63ULL
cdef uint64_t PRIME64_5 = 0x27D4EB2F165667C5ULL
cdef uint64_t RRMXMX = 0x9FB21C651E98DF25ULL

# The constants that the author drew.
cdef uint8_t[SECRET] THE_SECRET
THE_SECRET[:] = [
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
]


cdef inline uint64_t avalanche64(uint64_t value) noexcept nogil:
    value = (value ^ (value >> 33)) * PRIME64_2
    value = (value ^ (value >> 29)) * PRIME64_3
    return value ^ (value >> 32)


cdef inline uint64_t avalanche(uint64_t value) noexcept nogil:
    value = (value ^ (value >> 37)) * 0x165667919E3779F9ULL
    return value ^ (value >> 32)


# The two halves of the 128-bit product, one XOR the other. From 32-bit products: no compiler lacks those.
cdef inline uint64_t fold(uint64_t left, uint64_t right) noexcept nogil:
    cdef uint64_t low = (left & 0xFFFFFFFFU) * (right & 0xFFFFFFFFU)
    cdef uint64_t cross = (left >> 32) * (right & 0xFFFFFFFFU) + (low >> 32)
    cdef uint64_t other = (left & 0xFFFFFFFFU) * (right >> 32) + (cross & 0xFFFFFFFFU)
    cdef uint64_t high = (left >> 32) * (right >> 32) + (cross >> 32) + (other >> 32)
    return ((other << 32) | (low & 0xFFFFFFFFU)) ^ high


cdef inline uint64_t mix16(const uint8_t* data, int at, uint64_t seed) noexcept nogil:
    cdef const uint8_t* secret = THE_SECRET + at
    return fold(load64(data) ^ (load64(secret) + seed), load64(data + 8) ^ (load64(secret + 8) - seed))


cdef inline uint64_t upto_3(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint32_t word
    if size == 0:
        return avalanche64(seed ^ load64(THE_SECRET + 56) ^ load64(THE_SECRET + 64))
    word = (<uint32_t>data[0] << 16) | (<uint32_t>data[size >> 1] << 24) | data[size - 1] | (<uint32_t>size << 8)
    return avalanche64(word ^ ((load32(THE_SECRET) ^ load32(THE_SECRET + 4)) + seed))


cdef inline uint64_t upto_8(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t value = load32(data + size - 4) + (<uint64_t>load32(data) << 32)
    seed ^= <uint64_t>swap32(<uint32_t>seed) << 32
    value ^= (load64(THE_SECRET + 8) ^ load64(THE_SECRET + 16)) - seed
    value = (value ^ rotate64(value, 49) ^ rotate64(value, 24)) * RRMXMX
    value = (value ^ ((value >> 35) + size)) * RRMXMX
    return value ^ (value >> 28)


cdef inline uint64_t upto_16(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t low = (load64(THE_SECRET + 24) ^ load64(THE_SECRET + 32)) + seed
    cdef uint64_t high = (load64(THE_SECRET + 40) ^ load64(THE_SECRET + 48)) - seed
    low ^= load64(data)
    high ^= load64(data + size - 8)
    return avalanche(size + swap64(low) + high + fold(low, high))


cdef uint64_t upto_128(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t total = size * PRIME64_1
    cdef int pair = <int>((size - 1) >> 5)
    while pair >= 0:
        total += mix16(data + 16 * pair, 32 * pair, seed)
        total += mix16(data + size - 16 * (pair + 1), 32 * pair + 16, seed)
        pair -= 1
    return avalanche(total)


cdef uint64_t upto_240(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t total = size * PRIME64_1
    cdef int i
    for i in range(8):
        total += mix16(data + 16 * i, 16 * i, seed)
    total = avalanche(total)
    for i in range(8, <int>(size >> 4)):
        total += mix16(data + 16 * i, 16 * (i - 8) + 3, seed)
    return avalanche(total + mix16(data + size - 16, 136 - 17, seed))


# ---- longer: eight lanes

cdef inline void take_stripe(uint64_t* lanes, const uint8_t* data, const uint8_t* secret) noexcept nogil:
    cdef uint64_t value, keyed
    cdef int i
    for i in range(LANES):
        value = load64(data + 8 * i)
        keyed = value ^ load64(secret + 8 * i)
        lanes[i ^ 1] += value
        lanes[i] += (keyed & 0xFFFFFFFFU) * (keyed >> 32)


cdef inline void scramble(uint64_t* lanes, const uint8_t* secret) noexcept nogil:
    cdef int i
    for i in range(LANES):
        lanes[i] = (lanes[i] ^ (lanes[i] >> 47) ^ load64(secret + 8 * i)) * PRIME32_1


cdef inline void seed_secret(uint8_t* secret, uint64_t seed) noexcept nogil:
    cdef int i
    for i in range(0, SECRET, 16):
        store64(secret + i, load64(THE_SECRET + i) + seed)
        store64(secret + i + 8, load64(THE_SECRET + i + 8) - seed)


cdef uint64_t longer(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint8_t[SECRET] secret
    cdef uint64_t[LANES] lanes
    cdef uint64_t value = size * PRIME64_1
    cdef size_t stripe
    cdef int i
    lanes[:] = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1]
    seed_secret(secret, seed)
    for stripe in range((size - 1) // STRIPE):
        take_stripe(lanes, data + stripe * STRIPE, secret + 8 * (stripe % STRIPES))
        if stripe % STRIPES == STRIPES - 1:
            scramble(lanes, secret + SECRET - STRIPE)
    take_stripe(lanes, data + size - STRIPE, secret + SECRET - STRIPE - 7)
    for i in range(4):
        value += fold(
            lanes[2 * i] ^ load64(secret + 11 + 16 * i), lanes[2 * i + 1] ^ load64(secret + 19 + 16 * i)
        )
    return avalanche(value)


cdef uint64_t hash_xxh3(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    if size <= 16:
        if size > 8:
            return upto_16(data, size, seed)
        return upto_8(data, size, seed) if size > 3 else upto_3(data, size, seed)
    if size <= 128:
        return upto_128(data, size, seed)
    return upto_240(data, size, seed) if size <= MIDDLE_MAX else longer(data, size, seed)
