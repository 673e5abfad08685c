"""mcrouter's hashes of Ch3.

    furc            Ch3: bits of a stream whose every word is the hash of the word before choose a server
    weighted_furc   WeightedCh3: a server is accepted with the probability that is its weight, or the next is tried
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from mcroute._distributions.table cimport RingTable
from mcroute._hashing.murmur cimport hash_murmur64a
from mcroute._hashing.spooky cimport hash_spooky32
from mcroute._hashing.words cimport store64

cdef enum:
    TRIES = 32
    FURC_STEP = 23
    FURC_WORDS = 384            # of 64 bits: more than 32 rounds of 31 bits, 23 apart, can reach
    WEIGHT_SEED = 0xFACE2014
    COUNTER_MAX = 2             # digits
    ROOM = 512                  # bytes; longer texts are copied to the heap

cdef uint64_t FURC_SEED = 4193360111U


# ---- without weights

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
    for _round in range(TRIES):
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


# ---- with weights

# Appends the digits of `number`, the last one first.
cdef inline size_t write_backwards(uint8_t* at, int number) noexcept nogil:
    cdef size_t digits = 0
    while True:
        at[digits] = c"0" + number % 10
        digits += 1
        number //= 10
        if number == 0:
            return digits


# `text` has room for the counter behind its `size` bytes.
cdef int try_by_weight(const RingTable* table, uint8_t* text, size_t size) noexcept nogil:
    cdef size_t longer = size
    cdef int server = 0
    cdef int attempt
    for attempt in range(TRIES):
        server = <int>furc_hash(text, longer, <uint32_t>table.size)
        if hash_spooky32(text, longer, WEIGHT_SEED) < <uint32_t>(table.weights[server] * 4294967295.0):
            break
        longer = size + write_backwards(text + size, attempt)
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
    server = try_by_weight(table, copy, size)
    if copy != room:
        free(copy)
    return server
