"""The table of a ring in C, which a lookup reads, and the types of its functions."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._hashing.named cimport KeyHash

cdef enum:
    MASK_WORDS = 1024           # of a mask on the stack; the pools of more than 65536 have theirs on the heap


cdef struct Text:
    const uint8_t* data
    size_t size


# The hashed part of a key: `cut` selects it, `form` is its spelling; then prefix and suffix are added.
cdef struct KeyRule:
    int cut
    int form
    Text strip                  # removed from the front first, if it is there
    Text marks                  # of the cut: the two of a tag, or the text to stop at
    Text prefix
    Text suffix
    Text lead                   # at the front of a key, it stays before the prefix


cdef struct Point:
    uint32_t at                 # place on the circle
    uint32_t server


# `text` is the rule's text of a key. Returns the owner's index, with no server skipped.
ctypedef int (*OwnerRule)(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
# Writes the first `count` distinct servers that are not in the mask `taken` to out, adds them to the mask, and
# returns how many there were.
ctypedef int (*WalkRule)(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken,
                         int count, int* out) noexcept nogil
# The server of the highest score that is not in the mask, which may be NULL; -1 when all are.
ctypedef int (*ScoreRule)(const RingTable* table, const uint8_t* text, size_t size,
                          const uint64_t* taken) noexcept nogil


cdef struct RingTable:
    int size                    # servers
    bint reads_key              # whether the rule changes anything
    KeyRule key
    OwnerRule owner
    WalkRule walk
    ScoreRule score             # of distributions by score
    KeyHash hash
    uint64_t seed
    uint64_t text_max           # longer texts hash to 0
    uint32_t count              # points, or slots
    bint above                  # the owner is the first point above the key's place, not at or above
    # Sorted, with one more point at 2**32 - 1 that stands for the first one, so that the search needs no end
    # check.
    Point* points
    # buckets[h >> shift] is the first point that can be at or behind h: about one step from the answer.
    uint32_t* buckets
    int shift
    uint64_t* wide              # of points of 128 bits: two words each, high and low; `at` is their top
    uint32_t* slots             # NULL: slot i is server i
    uint64_t* numbers           # one per server: the hash of its name, or its rank
    double* weights
    Text* labels                # names as they are hashed with keys
    size_t label_max


cdef inline bint in_mask(const uint64_t* mask, uint32_t server) noexcept nogil:
    return (mask[server >> 6] >> (server & 63)) & 1


cdef inline void mask_add(uint64_t* mask, uint32_t server) noexcept nogil:
    mask[server >> 6] |= <uint64_t>1 << (server & 63)


cdef inline size_t mask_words(const RingTable* table) noexcept nogil:
    return (<size_t>table.size + 63) // 64


cdef inline uint64_t text_hash(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    return table.hash(text, size, table.seed) if size <= table.text_max else 0
