"""The hash of Fowler, Noll and Vo: 32 and 64 bits, over bytes and over C's signed `char`."""

from libc.stddef cimport size_t
from libc.stdint cimport int8_t, uint8_t, uint32_t, uint64_t

from mcroute._hashing.buffers cimport hash32_of, hash64_of

cdef uint64_t OFFSET_32 = 0x811C9DC5
cdef uint64_t PRIME_32 = 0x01000193
cdef uint64_t OFFSET_64 = 0xCBF29CE484222325ULL
cdef uint64_t PRIME_64 = 0x100000001B3ULL


# A C `char` where that is signed: bytes from 0x80 up enter as negative numbers.
cdef inline uint64_t widened(uint8_t byte, bint is_signed) noexcept nogil:
    return <uint64_t><int8_t>byte if is_signed else byte


# Fowler, Noll, Vo: FNV-1 multiplies first, FNV-1a mixes the byte in first. The lower 32 bits of a product come of
# the lower 32 of its factors, so that 64 do for both sizes.
cdef inline uint64_t fnv1(const uint8_t* data, size_t size, uint64_t value, uint64_t prime,
                          bint is_signed) noexcept nogil:
    cdef size_t i
    for i in range(size):
        value = (value * prime) ^ widened(data[i], is_signed)
    return value


cdef inline uint64_t fnv1a(const uint8_t* data, size_t size, uint64_t value, uint64_t prime,
                           bint is_signed) noexcept nogil:
    cdef size_t i
    for i in range(size):
        value = (value ^ widened(data[i], is_signed)) * prime
    return value


cdef uint32_t hash_fnv1_32(const uint8_t* data, size_t size) noexcept nogil:
    return <uint32_t>fnv1(data, size, OFFSET_32, PRIME_32, False)


cdef uint32_t hash_fnv1a_32(const uint8_t* data, size_t size) noexcept nogil:
    return <uint32_t>fnv1a(data, size, OFFSET_32, PRIME_32, False)


cdef uint64_t hash_fnv1_64(const uint8_t* data, size_t size) noexcept nogil:
    return fnv1(data, size, OFFSET_64, PRIME_64, False)


cdef uint64_t hash_fnv1a_64(const uint8_t* data, size_t size) noexcept nogil:
    return fnv1a(data, size, OFFSET_64, PRIME_64, False)


cdef uint32_t hash_fnv1_32_signed(const uint8_t* data, size_t size) noexcept nogil:
    return <uint32_t>fnv1(data, size, OFFSET_32, PRIME_32, True)


cdef uint32_t hash_fnv1a_32_signed(const uint8_t* data, size_t size) noexcept nogil:
    return <uint32_t>fnv1a(data, size, OFFSET_32, PRIME_32, True)


cdef uint64_t hash_fnv1_64_signed(const uint8_t* data, size_t size) noexcept nogil:
    return fnv1(data, size, OFFSET_64, PRIME_64, True)


cdef uint64_t hash_fnv1a_64_signed(const uint8_t* data, size_t size) noexcept nogil:
    return fnv1a(data, size, OFFSET_64, PRIME_64, True)


def fnv1_32(data):
    """32-bit FNV-1 of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    return hash32_of(data, hash_fnv1_32)


def fnv1a_32(data):
    """32-bit FNV-1a of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    return hash32_of(data, hash_fnv1a_32)


def fnv1_64(data):
    """64-bit FNV-1 of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    return hash64_of(data, hash_fnv1_64)


def fnv1a_64(data):
    """64-bit FNV-1a of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    return hash64_of(data, hash_fnv1a_64)


def fnv1a_64_signed(data):
    """64-bit FNV-1a with bytes from 0x80 up sign-extended, as twemproxy hashes on x86.

    Raises TypeError when data is not bytes-like.
    """
    return hash64_of(data, hash_fnv1a_64_signed)
