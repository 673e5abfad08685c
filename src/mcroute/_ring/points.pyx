"""Points on a circle, and slots: looking up."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._hashing.md5 cimport hash_md5
from mcroute._hashing.words cimport load64_big
from mcroute._ring.table cimport RingTable, in_mask, put_in_mask, text_hash


# Index of the first point at or behind the place, or behind it.
cdef inline uint32_t point_at(const RingTable* table, uint32_t place) noexcept nogil:
    cdef uint32_t i = table.buckets[place >> table.shift]
    while table.points[i].at < place:
        i += 1
    if table.above:
        while i < table.count and table.points[i].at == place:
            i += 1
    return i


cdef inline uint32_t wide_at(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    cdef uint8_t[16] digest
    cdef uint64_t high, low
    cdef const uint64_t* wide
    cdef uint32_t i
    hash_md5(text, size, digest)
    high = load64_big(digest)
    low = load64_big(digest + 8)
    i = table.buckets[<uint32_t>(high >> 32) >> table.shift]
    while i < table.count:
        wide = table.wide + 2 * <size_t>i
        if wide[0] > high or (wide[0] == high and (wide[1] > low or (wide[1] == low and not table.above))):
            break
        i += 1
    return i


cdef int points_at(const RingTable* table, unsigned int place) noexcept nogil:
    return <int>table.points[point_at(table, place)].server


cdef int points_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    return <int>table.points[point_at(table, <uint32_t>text_hash(table, text, size))].server


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
            put_in_mask(taken, server)
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
