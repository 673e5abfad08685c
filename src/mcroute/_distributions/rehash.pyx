"""Stand-ins of other clients when the owner is out: orders that end before every server was tried.

    fail                no server
    python_memcached    the slot of hash("<hash><try>"), ten slots in all
    pecl_memcache       the owner of "key-<try>", twenty-one owners in all
    spymemcached        the point of the sum of hashes of "<try>key", seven places in all
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from mcroute._hashing.words cimport store_decimal
from mcroute._distributions.points cimport points_at
from mcroute._distributions.table cimport RingTable, WalkRule, in_mask, mask_add, text_hash

cdef enum:
    PYTHON_MEMCACHED_TRIES = 10
    PECL_MEMCACHE_TRIES = 20    # behind the first
    SPYMEMCACHED_PLACES = 7
    DIGITS_MAX = 20             # of 64 bits
    ROOM = 512                  # bytes; longer texts are copied to the heap

WALKS = ("fail", "python_memcached", "pecl_memcache", "spymemcached")


# The servers found so far: not in a mask, each once.
cdef struct Found:
    uint64_t* taken
    int* out
    int count
    int wanted


# Returns whether the requested number is reached.
cdef inline bint take(Found* found, int server) noexcept nogil:
    if not in_mask(found.taken, server):
        mask_add(found.taken, server)
        found.out[found.count] = server
        found.count += 1
    return found.count == found.wanted


cdef int fail(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
              int* out) noexcept nogil:
    cdef Found found = Found(taken, out, 0, count)
    take(&found, table.owner(table, text, size))
    return found.count


cdef int python_memcached(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                          int* out) noexcept nogil:
    cdef Found found = Found(taken, out, 0, count)
    cdef uint8_t[DIGITS_MAX + 1] again
    cdef uint64_t value = text_hash(table, text, size)
    cdef size_t digits
    cdef int i
    for i in range(PYTHON_MEMCACHED_TRIES):
        if take(&found, <int>table.slots[value % table.count]):
            break
        digits = store_decimal(again, value)
        digits += store_decimal(again + digits, i)
        value = text_hash(table, again, digits)
    return found.count


# `room` has place for the text and a number.
cdef void retry_owners(const RingTable* table, uint8_t* room, const uint8_t* text, size_t size,
                       Found* found) noexcept nogil:
    cdef int i
    memcpy(room, text, size)
    room[size] = c"-"
    for i in range(PECL_MEMCACHE_TRIES):
        if take(found, table.owner(table, room, size + 1 + store_decimal(room + size + 1, i))):
            return


cdef int pecl_memcache(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                       int* out) noexcept nogil:
    cdef Found found = Found(taken, out, 0, count)
    cdef uint8_t[ROOM] room
    cdef uint8_t* copy = room
    if take(&found, table.owner(table, text, size)):
        return found.count
    if size + 1 + DIGITS_MAX > ROOM:
        copy = <uint8_t*>malloc(size + 1 + DIGITS_MAX)
        if copy == NULL:
            return found.count
    retry_owners(table, copy, text, size, &found)
    if copy != room:
        free(copy)
    return found.count


# `room` has place for one digit and the text.
cdef void retry_places(const RingTable* table, uint8_t* room, const uint8_t* text, size_t size,
                       Found* found) noexcept nogil:
    cdef uint32_t place = <uint32_t>text_hash(table, text, size)
    cdef int i
    memcpy(room + 1, text, size)
    for i in range(SPYMEMCACHED_PLACES):
        if take(found, points_at(table, place)):
            return
        room[0] = <uint8_t>(c"0" + i)
        place += <uint32_t>text_hash(table, room, size + 1)


cdef int spymemcached(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                      int* out) noexcept nogil:
    cdef Found found = Found(taken, out, 0, count)
    cdef uint8_t[ROOM] room
    cdef uint8_t* copy = room
    if size + 1 > ROOM:
        copy = <uint8_t*>malloc(size + 1)
        if copy == NULL:
            return 0
    retry_places(table, copy, text, size, &found)
    if copy != room:
        free(copy)
    return found.count


cdef WalkRule walk_rule_find(str name) except NULL:
    if name == "fail":
        return fail
    if name == "python_memcached":
        return python_memcached
    if name == "pecl_memcache":
        return pecl_memcache
    if name == "spymemcached":
        return spymemcached
    raise ValueError(f"walk: {name!r} is none of {', '.join(WALKS)}")
