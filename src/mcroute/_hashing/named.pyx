"""Every hash that places keys, by name, under one signature.

One row per hash. Names say what is computed; the systems' own names are in `mcroute.placement`.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int32_t, uint8_t, uint32_t, uint64_t

from mcroute._hashing.crc cimport hash_crc16_uncut, hash_crc32
from mcroute._hashing.fnv cimport (
    hash_fnv1_32, hash_fnv1_32_signed, hash_fnv1_64_signed, hash_fnv1a_32, hash_fnv1a_32_signed,
    hash_fnv1a_64_signed,
)
from mcroute._hashing.jenkins cimport hash_hsieh, hash_lookup3, hash_one_at_a_time
from mcroute._hashing.md5 cimport hash_md5, hash_md5_ketama
from mcroute._hashing.murmur cimport (
    hash_murmur2, hash_murmur3_32, hash_murmur3_x64_128, hash_murmur64a,
)
from mcroute._hashing.sha384 cimport hash_sha384
from mcroute._hashing.spooky cimport hash_spooky32
from mcroute._hashing.utf16 cimport (
    hash_utf16_fnv1_32, hash_utf16_fnv1_64, hash_utf16_fnv1a_32, hash_utf16_fnv1a_64, hash_utf16_native,
)
from mcroute._hashing.words cimport load32, load64
from mcroute._hashing.xxh3 cimport hash_xxh3

cdef enum:
    LIBHASHKIT_SEED = 0xDEADBEEF        # times the key's size


cdef uint64_t one_at_a_time(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_one_at_a_time(data, size)


cdef uint64_t md5_32(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_md5_ketama(data, size)


cdef uint64_t md5_64(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    cdef uint8_t[16] digest
    hash_md5(data, size, digest)
    return load64(digest)


cdef uint64_t sha384_32(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    cdef uint8_t[48] digest
    hash_sha384(data, size, digest)
    return load32(digest)


cdef uint64_t crc16_uncut(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_crc16_uncut(data, size)


cdef uint64_t crc32(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_crc32(data, size)


cdef uint64_t crc32_low31(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_crc32(data, size) & 0x7FFFFFFF


cdef uint64_t crc32_mid15(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return (hash_crc32(data, size) >> 16) & 0x7FFF


cdef uint64_t fnv1_32(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_fnv1_32(data, size)


cdef uint64_t fnv1a_32(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_fnv1a_32(data, size)


cdef uint64_t fnv1_32_signed(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_fnv1_32_signed(data, size)


cdef uint64_t fnv1a_32_signed(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_fnv1a_32_signed(data, size)


cdef uint64_t fnv1a_32_signed_mid15(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return (hash_fnv1a_32_signed(data, size) >> 16) & 0x7FFF


cdef uint64_t fnv1_64_signed_low(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return <uint32_t>hash_fnv1_64_signed(data, size)


cdef uint64_t fnv1a_64_signed_low(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return <uint32_t>hash_fnv1a_64_signed(data, size)


cdef uint64_t hsieh(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_hsieh(data, size)


cdef uint64_t lookup3(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_lookup3(data, size)


cdef uint64_t murmur2_of_size(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_murmur2(data, size, <uint32_t>(size * LIBHASHKIT_SEED))


cdef uint64_t murmur3_of_size(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_murmur3_32(data, size, <uint32_t>(size * LIBHASHKIT_SEED))


cdef uint64_t murmur3_32(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    return hash_murmur3_32(data, size, <uint32_t>seed)


# As a signed number, widened to 64 bits.
cdef uint64_t murmur3_32_signed(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    return <uint64_t><int32_t>hash_murmur3_32(data, size, <uint32_t>seed)


cdef uint64_t murmur3_x64_low(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t[2] halves
    hash_murmur3_x64_128(data, size, <uint32_t>seed, halves)
    return halves[0]


cdef uint64_t murmur3_x64_high(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t[2] halves
    hash_murmur3_x64_128(data, size, <uint32_t>seed, halves)
    return halves[1]


cdef uint64_t murmur64a(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    return hash_murmur64a(data, size, seed)


cdef uint64_t spooky32(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    return hash_spooky32(data, size, <uint32_t>seed)


cdef uint64_t xxh3(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    return hash_xxh3(data, size, seed)


# emcache joins four signed bytes of the hash with `|` where `&` binds tighter: 640 results in all.
cdef uint64_t emcache(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil:
    cdef uint64_t low = murmur3_x64_low(data, size, seed)
    cdef uint32_t value = <uint32_t><int32_t><int8_t>low
    value |= <uint32_t><int32_t><int8_t>(low >> 8) & 0xFFFFFF00U
    value |= <uint32_t><int32_t><int8_t>(low >> 16) & 0xFFFF0000U
    return value | (<uint32_t><int32_t><int8_t>(low >> 24) & 0xFF000000U)


cdef uint64_t utf16_fnv1_32(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_utf16_fnv1_32(data, size)


cdef uint64_t utf16_fnv1a_32(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_utf16_fnv1a_32(data, size)


cdef uint64_t utf16_fnv1_64_low(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_utf16_fnv1_64(data, size)


cdef uint64_t utf16_fnv1a_64_low(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_utf16_fnv1a_64(data, size)


cdef uint64_t utf16_native(const uint8_t* data, size_t size, uint64_t _seed) noexcept nogil:
    return hash_utf16_native(data, size)


cdef enum:
    NAMED_MAX = 64

cdef KeyHash[NAMED_MAX] FUNCTIONS
cdef list NAMES = []


cdef int register(str name, KeyHash function) except -1:
    FUNCTIONS[len(NAMES)] = function
    NAMES.append(name)
    return 0


register("one_at_a_time", one_at_a_time)
register("md5_32", md5_32)
register("md5_64", md5_64)
register("sha384_32", sha384_32)
register("crc16_uncut", crc16_uncut)
register("crc32", crc32)
register("crc32_low31", crc32_low31)
register("crc32_mid15", crc32_mid15)
register("fnv1_32", fnv1_32)
register("fnv1a_32", fnv1a_32)
register("fnv1_32_signed", fnv1_32_signed)
register("fnv1a_32_signed", fnv1a_32_signed)
register("fnv1a_32_signed_mid15", fnv1a_32_signed_mid15)
register("fnv1_64_signed_low", fnv1_64_signed_low)
register("fnv1a_64_signed_low", fnv1a_64_signed_low)
register("hsieh", hsieh)
register("lookup3", lookup3)
register("murmur2_of_size", murmur2_of_size)
register("murmur3_of_size", murmur3_of_size)
register("murmur3_32", murmur3_32)
register("murmur3_32_signed", murmur3_32_signed)
register("murmur3_x64_low", murmur3_x64_low)
register("murmur3_x64_high", murmur3_x64_high)
register("murmur64a", murmur64a)
register("spooky32", spooky32)
register("xxh3", xxh3)
register("emcache", emcache)
register("utf16_fnv1_32", utf16_fnv1_32)
register("utf16_fnv1a_32", utf16_fnv1a_32)
register("utf16_fnv1_64_low", utf16_fnv1_64_low)
register("utf16_fnv1a_64_low", utf16_fnv1a_64_low)
register("utf16_native", utf16_native)

HASHES = tuple(NAMES)


cdef KeyHash key_hash_find(str name) except NULL:
    if name not in HASHES:
        raise ValueError(f"hash: {name!r} is none of {', '.join(HASHES)}")
    return FUNCTIONS[HASHES.index(name)]


def hash_key(str name, data, uint64_t seed=0):
    """The hash called `name`, one of HASHES, of bytes-like `data`: 32 or 64 bits, by the hash.

    Raises ValueError for another name, TypeError when data is not bytes-like, OverflowError when seed is not in
    0 to 2**64 - 1. Hashes without a seed ignore it; those with one of 32 bits take its low half.
    """
    cdef Py_buffer view
    cdef KeyHash function = key_hash_find(name)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint64_t value = function(<const uint8_t*>view.buf, view.len, seed)
    PyBuffer_Release(&view)
    return value
