"""Points on a circle, and slots: looking up."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._hashing.caching cimport prefetch
from mcroute._hashing.md5 cimport hash_md5
from mcroute._hashing.words cimport load32, load64_big, swap32
from mcroute._distributions.table cimport RingTable, in_mask, mask_add, text_hash


cdef enum:
    PLACES_A_ROUND = 16


# Index of the first point at or behind the place, or behind it.
cdef inline uint32_t point_at(const RingTable* table, uint32_t place) noexcept nogil:
    cdef uint32_t i
    if table.above:
        if place == 0xFFFFFFFFU:
            return table.count
        place += 1
    i = table.buckets[place >> table.shift]
    while table.points[i].at < place:
        i += 1
    return i


# Whether a point of 128 bits lies before the digest; only called if their top 32 bits are equal.
cdef bint is_before(const RingTable* table, uint32_t i, const uint8_t* digest) noexcept nogil:
    cdef const uint64_t* wide = table.wide + 2 * <size_t>i
    cdef uint64_t high = load64_big(digest)
    cdef uint64_t low = load64_big(digest + 8)
    if wide[0] != high:
        return wide[0] < high
    return wide[1] < low or (wide[1] == low and table.above)


cdef inline uint32_t wide_at(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    cdef uint8_t[16] digest
    cdef uint32_t top, i
    hash_md5(text, size, digest)
    top = swap32(load32(digest))
    i = table.buckets[top >> table.shift]
    while table.points[i].at < top:
        i += 1
    while i < table.count and table.points[i].at == top and is_before(table, i, digest):
        i += 1
    return i


cdef int points_at(const RingTable* table, unsigned int place) noexcept nogil:
    return <int>table.points[point_at(table, place)].server


cdef int points_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    return <int>table.points[point_at(table, <uint32_t>text_hash(table, text, size))].server


cdef void points_owners(const RingTable* table, const uint8_t** texts, size_t* sizes, size_t count,
                        int* owners) noexcept nogil:
    cdef uint32_t[PLACES_A_ROUND] places
    cdef size_t i, round_size
    # Each lookup waits for memory twice, for the bucket and for the point: all lookups of a round wait together.
    while count > 0:
        round_size = min(count, <size_t>PLACES_A_ROUND)
        for i in range(round_size):
            places[i] = <uint32_t>text_hash(table, texts[i], sizes[i])
            prefetch(&table.buckets[places[i] >> table.shift])
        for i in range(round_size):
            prefetch(&table.points[table.buckets[places[i] >> table.shift]])
        for i in range(round_size):
            owners[i] = points_at(table, places[i])
        texts += round_size
        sizes += round_size
        owners += round_size
        count -= round_size


cdef int wide_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    return <int>table.points[wide_at(table, text, size)].server


cdef int slots_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    cdef uint32_t slot = <uint32_t>(text_hash(table, text, size) % table.count)
    return <int>(table.slots[slot] if table.slots != NULL else slot)


cdef int walk_on(const RingTable* table, uint32_t i, uint64_t* taken, int count, int* out) noexcept nogil:
    cdef uint32_t _step, server
    cdef int found = 0
    for _step in range(table.count):
        if i >= table.count:
            i -= table.count
        if table.points != NULL:
            server = table.points[i].server
        else:
            server = table.slots[i] if table.slots != NULL else i
        if not in_mask(taken, server):
            mask_add(taken, server)
            out[found] = <int>server
            found += 1
            if found == count:
                break
        i += 1
    return found


cdef int points_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                     int* out) noexcept nogil:
    return walk_on(table, point_at(table, <uint32_t>text_hash(table, text, size)), taken, count, out)


cdef int wide_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                   int* out) noexcept nogil:
    return walk_on(table, wide_at(table, text, size), taken, count, out)


cdef int slots_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                    int* out) noexcept nogil:
    return walk_on(table, <uint32_t>(text_hash(table, text, size) % table.count), taken, count, out)
