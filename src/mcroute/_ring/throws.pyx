"""Servers thrown for by number.

    jump            Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014
    furc            mcrouter's Ch3, from the sources of its furc_hash
    weighted_furc   mcrouter's WeightedCh3: a throw counts with the probability that is its server's weight
    const_shard     mcrouter's ConstShard: the number between the first two colons, otherwise furc
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy

from mcroute._hashing.murmur cimport hash_murmur64a
from mcroute._hashing.spooky cimport hash_spooky32
from mcroute._hashing.words cimport store64
from mcroute._ring.table cimport RingTable, in_mask, put_in_mask, text_hash

cdef enum:
    THROWS = 32
    FURC_STEP = 23
    FURC_WORDS = 384            # of 64 bits: more than 32 rounds of 31 bits, 23 apart, can reach
    WEIGHT_SEED = 0xFACE2014
    COUNTER_MAX = 2             # digits
    ROOM = 512                  # bytes; longer texts are copied to the heap

cdef uint64_t FURC_SEED = 4193360111U


# ---- jump

cdef int jump_hash(uint64_t key, int size) noexcept nogil:
    cdef int64_t bucket = -1
    cdef int64_t following = 0
    while following < size:
        bucket = following
        key = key * 2862933555777941757ULL + 1
        following = <int64_t>(<double>(bucket + 1) * (2147483648.0 / <double>((key >> 33) + 1)))
    return <int>bucket


cdef int jump_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    return jump_hash(text_hash(table, text, size), table.size)


# ---- furc: bits of a stream whose every word is the hash of the word before

cdef struct Bits:
    int known                   # words
    uint64_t[FURC_WORDS] words


cdef inline uint32_t bit_at(Bits* bits, uint32_t at) noexcept nogil:
    cdef uint8_t[8] word
    cdef int index = <int>(at >> 6)
    while bits.known <= index:
        store64(word, bits.words[bits.known - 1])
        bits.words[bits.known] = hash_murmur64a(word, 8, FURC_SEED)
        bits.known += 1
    return (bits.words[index] >> (at & 63)) & 1


cdef uint32_t furc_hash(const uint8_t* text, size_t size, uint32_t servers) noexcept nogil:
    cdef Bits bits
    cdef uint32_t at, number
    cdef uint32_t width = 0
    cdef uint32_t _bit
    cdef int _round
    if servers <= 1:
        return 0
    bits.words[0] = hash_murmur64a(text, size, FURC_SEED)
    bits.known = 1
    while <uint64_t>1 << width < servers:
        width += 1
    at = width
    for _round in range(THROWS):
        while not bit_at(&bits, at):
            width -= 1
            if width == 0:
                return 0
            at = width
        at += FURC_STEP
        number = 1
        for _bit in range(width - 1):
            number = (number << 1) | bit_at(&bits, at)
            at += FURC_STEP
        if number < servers:
            return number
    return 0


cdef int furc_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    return <int>furc_hash(text, size, <uint32_t>table.size)


# ---- furc with weights

# Appends the digits of `number`, the last one first.
cdef inline size_t put_backwards(uint8_t* at, int number) noexcept nogil:
    cdef size_t digits = 0
    while True:
        at[digits] = 48 + number % 10
        digits += 1
        number //= 10
        if number == 0:
            return digits


# `text` has room for the counter behind its `size` bytes.
cdef int throw_by_weight(const RingTable* table, uint8_t* text, size_t size) noexcept nogil:
    cdef size_t longer = size
    cdef int server = 0
    cdef int throw
    for throw in range(THROWS):
        server = <int>furc_hash(text, longer, <uint32_t>table.size)
        if hash_spooky32(text, longer, WEIGHT_SEED) < <uint32_t>(table.weights[server] * 4294967295.0):
            break
        longer = size + put_backwards(text + size, throw)
    return server


cdef int weighted_furc_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    cdef uint8_t[ROOM] room
    cdef uint8_t* copy = room
    cdef int server
    if size + COUNTER_MAX > ROOM:
        copy = <uint8_t*>malloc(size + COUNTER_MAX)
        if copy == NULL:
            return furc_owner(table, text, size)
    memcpy(copy, text, size)
    server = throw_by_weight(table, copy, size)
    if copy != room:
        free(copy)
    return server


# ---- shards named in the key

# The number between the first two colons; -1 if that is none, or too large.
cdef int shard_of(const uint8_t* text, size_t size, int servers) noexcept nogil:
    cdef const uint8_t* end = text + size
    cdef const uint8_t* at = <const uint8_t*>memchr(text, c":", size)
    cdef const uint8_t* closing
    cdef int64_t number = 0
    if at == NULL:
        return -1
    at += 1
    closing = <const uint8_t*>memchr(at, c":", end - at)
    if closing == NULL or closing == at:
        return -1
    while at < closing:
        if not c"0" <= at[0] <= c"9":
            return -1
        number = min(number * 10 + at[0] - 48, <int64_t>servers)
        at += 1
    return <int>number if number < servers else -1


cdef int const_shard_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    cdef int shard = shard_of(text, size, table.size)
    return shard if shard >= 0 else furc_owner(table, text, size)


# ---- the failover order

cdef inline uint64_t next_throw(uint64_t value) noexcept nogil:
    value += 0x9E3779B97F4A7C15ULL
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCDULL
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53ULL
    return value ^ (value >> 33)


cdef int throws_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                     int* out) noexcept nogil:
    cdef uint64_t thrown = text_hash(table, text, size)
    cdef int server = table.owner(table, text, size)
    cdef int found = 0
    cdef int step
    for step in range(THROWS + table.size):
        if not in_mask(taken, server):
            put_in_mask(taken, server)
            out[found] = server
            found += 1
            if found == count:
                break
        if step < THROWS - 1:
            thrown = next_throw(thrown)
            server = jump_hash(thrown, table.size)
        else:
            server = (server + 1) % table.size
    return found
