"""Numbers in bytes: words, and decimals.

Words are assembled from single bytes, so that alignment and byte order of the machine do not matter; compilers turn
that into one load where they may.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t


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


cdef extern from * nogil:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __forceinline int mcroute_low_bit(uint64_t n) {
        unsigned long i;
        _BitScanForward64(&i, n);
        return (int)i;
    }
    #else
    static inline int mcroute_low_bit(uint64_t n) { return __builtin_ctzll(n); }
    #endif
    """
    # Index of the lowest bit that is set; of 0 there is none.
    int low_bit "mcroute_low_bit"(uint64_t n)


# The last 0 to 8 bytes as a little-endian number.
cdef inline uint64_t load_tail(const uint8_t* at, size_t size) noexcept nogil:
    cdef uint64_t value = 0
    while size:
        size -= 1
        value = (value << 8) | at[size]
    return value


cdef inline uint64_t load64_big(const uint8_t* at) noexcept nogil:
    return (
        (<uint64_t>at[0] << 56)
        | (<uint64_t>at[1] << 48)
        | (<uint64_t>at[2] << 40)
        | (<uint64_t>at[3] << 32)
        | (<uint64_t>at[4] << 24)
        | (<uint64_t>at[5] << 16)
        | (<uint64_t>at[6] << 8)
        | at[7]
    )


cdef inline void store32(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>value
    at[1] = <uint8_t>(value >> 8)
    at[2] = <uint8_t>(value >> 16)
    at[3] = <uint8_t>(value >> 24)


cdef inline void store64(uint8_t* at, uint64_t value) noexcept nogil:
    store32(at, <uint32_t>value)
    store32(at + 4, <uint32_t>(value >> 32))


cdef inline void store64_big(uint8_t* at, uint64_t value) noexcept nogil:
    cdef int i
    for i in range(7, -1, -1):
        at[i] = <uint8_t>value
        value >>= 8


cdef inline uint32_t rotate32(uint32_t value, int bits) noexcept nogil:
    return (value << bits) | (value >> (32 - bits))


cdef inline uint64_t rotate64(uint64_t value, int bits) noexcept nogil:
    return (value << bits) | (value >> (64 - bits))


cdef inline uint32_t swap32(uint32_t value) noexcept nogil:
    value = ((value & 0x00FF00FFU) << 8) | ((value >> 8) & 0x00FF00FFU)
    return rotate32(value, 16)


cdef inline uint64_t swap64(uint64_t value) noexcept nogil:
    return (<uint64_t>swap32(<uint32_t>value) << 32) | swap32(<uint32_t>(value >> 32))


# Writes the digits of `number`, at most 20, and returns how many they are.
cdef inline size_t store_decimal(uint8_t* at, uint64_t number) noexcept nogil:
    cdef uint64_t rest = number
    cdef size_t digits = 1
    cdef size_t i
    while rest >= 10:
        rest //= 10
        digits += 1
    for i in range(digits, 0, -1):
        at[i - 1] = <uint8_t>(48 + number % 10)
        number //= 10
    return digits
