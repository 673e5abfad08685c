"""Points and slots: laid out once, when a ring is built."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy, memset

from mcroute._hashing.md5 cimport hash_md5
from mcroute._hashing.murmur cimport hash_murmur3_x64_128
from mcroute._hashing.named cimport KeyHash, key_hash_find
from mcroute._hashing.sha384 cimport hash_sha384
from mcroute._hashing.words cimport load32, load64_big, store64, store_decimal
from mcroute._distributions.points cimport points_at
from mcroute._distributions.table cimport Point, RingTable

cdef enum:
    POINTS_MAX = 1 << 24        # 128 MiB of points; more is a mistake
    SUFFIX_MAX = 11             # bytes of "-4294967295"
    WORDS_MAX = 4
    DIGEST_MAX = 48             # bytes

ctypedef void (*Digest)(const uint8_t* data, size_t size, uint8_t* digest) noexcept nogil

# A point of 128 bits while it is sorted.
cdef struct WidePoint:
    uint64_t high
    uint64_t low
    uint32_t server
    uint32_t number             # the order in which it was laid


cdef void murmur3_digest(const uint8_t* data, size_t size, uint8_t* digest) noexcept nogil:
    cdef uint64_t[2] halves
    hash_murmur3_x64_128(data, size, 0, halves)
    store64(digest, halves[0])
    store64(digest + 8, halves[1])


# NULL for a hash by name that is no digest.
cdef Digest digest_find(str name) except? NULL:
    if name in ("md5", "md5_128"):
        return hash_md5
    if name == "sha384":
        return hash_sha384
    if name == "murmur3_x64":
        return murmur3_digest
    return NULL


# Writes "-<number>" and returns its size.
cdef size_t write_suffix(uint8_t* at, uint32_t number) noexcept nogil:
    at[0] = c"-"
    return 1 + store_decimal(at + 1, number)


# A copy of the name with room for the suffix behind it.
cdef uint8_t* open_name(bytes name) except NULL:
    cdef uint8_t* text = <uint8_t*>malloc(len(name) + SUFFIX_MAX)
    if text == NULL:
        raise MemoryError
    memcpy(text, <const char*>name, len(name))
    return text


cdef Point* add_words(Point* end, Digest function, bytes name, uint32_t server, uint32_t groups,
                      int words) except NULL:
    cdef uint8_t[DIGEST_MAX] digest
    cdef uint8_t* text = open_name(name)
    cdef size_t size = len(name)
    cdef uint32_t group
    cdef int i
    with nogil:
        for group in range(groups):
            function(text, size + write_suffix(text + size, group), digest)
            for i in range(words):
                end.at = load32(digest + 4 * i)
                end.server = server
                end += 1
    free(text)
    return end


cdef Point* add_numbers(Point* end, KeyHash function, bytes name, uint32_t server,
                        uint32_t groups) except NULL:
    cdef uint8_t* text = open_name(name)
    cdef size_t size = len(name)
    cdef uint32_t group
    with nogil:
        for group in range(groups):
            end.at = <uint32_t>function(text, size + write_suffix(text + size, group), 0)
            end.server = server
            end += 1
    free(text)
    return end


# Stable, two bytes per pass: equal points stay in the order in which they were laid. `spare` has the same length. With
# two passes, the result is in `points` again.
# passes, so the result is in `points` again.
cdef void sort_points(Point* points, Point* spare, uint32_t count, uint32_t* starts) noexcept nogil:
    cdef int shift = 0
    cdef uint32_t i, digit, total, here
    cdef Point* swap
    while shift < 32:
        memset(starts, 0, 65536 * sizeof(uint32_t))
        for i in range(count):
            starts[(points[i].at >> shift) & 0xFFFF] += 1
        total = 0
        for digit in range(65536):
            here = starts[digit]
            starts[digit] = total
            total += here
        for i in range(count):
            digit = (points[i].at >> shift) & 0xFFFF
            spare[starts[digit]] = points[i]
            starts[digit] += 1
        swap = points
        points = spare
        spare = swap
        shift += 16


cdef int sort_table(RingTable* table) except -1:
    cdef Point* spare = <Point*>malloc(<size_t>table.count * sizeof(Point))
    cdef uint32_t* starts = <uint32_t*>malloc(65536 * sizeof(uint32_t))
    if spare == NULL or starts == NULL:
        free(spare)
        free(starts)
        raise MemoryError
    with nogil:
        sort_points(table.points, spare, table.count, starts)
    free(spare)
    free(starts)
    return 0


cdef int index_points(RingTable* table) except -1:
    cdef int bits = 1
    cdef uint32_t bucket
    cdef uint32_t i = 0
    while bits < 24 and (<uint32_t>1 << bits) < table.count:
        bits += 1
    table.shift = 32 - bits
    table.buckets = <uint32_t*>malloc((<size_t>1 << bits) * sizeof(uint32_t))
    if table.buckets == NULL:
        raise MemoryError
    for bucket in range(<uint32_t>1 << bits):
        while i < table.count and table.points[i].at >> table.shift < bucket:
            i += 1
        table.buckets[bucket] = i
    return 0


# ---- points of 128 bits

cdef int wide_order(const void* left, const void* right) noexcept nogil:
    cdef const WidePoint* a = <const WidePoint*>left
    cdef const WidePoint* b = <const WidePoint*>right
    if a.high != b.high:
        return 1 if a.high > b.high else -1
    if a.low != b.low:
        return 1 if a.low > b.low else -1
    return 1 if a.number > b.number else -1


cdef int add_wide(WidePoint* points, uint32_t* number, bytes name, uint32_t server,
                  uint32_t groups) except -1:
    cdef uint8_t[16] digest
    cdef uint8_t* text = open_name(name)
    cdef size_t size = len(name)
    cdef uint32_t group
    with nogil:
        for group in range(groups):
            hash_md5(text, size + write_suffix(text + size, group), digest)
            points[number[0]] = WidePoint(load64_big(digest), load64_big(digest + 8), server, number[0])
            number[0] += 1
    free(text)
    return 0


cdef int build_wide(RingTable* table, list laid) except -1:
    cdef uint32_t i = 0
    cdef WidePoint* points = <WidePoint*>malloc(<size_t>table.count * sizeof(WidePoint))
    table.wide = <uint64_t*>malloc(<size_t>table.count * 2 * sizeof(uint64_t))
    if points == NULL or table.wide == NULL:
        free(points)
        raise MemoryError
    try:
        for name, server, groups in laid:
            add_wide(points, &i, name, server, groups)
        with nogil:
            qsort(points, table.count, sizeof(WidePoint), wide_order)
            for i in range(table.count):
                table.points[i] = Point(<uint32_t>(points[i].high >> 32), points[i].server)
                table.wide[2 * <size_t>i] = points[i].high
                table.wide[2 * <size_t>i + 1] = points[i].low
    finally:
        free(points)
    return 0


# ---- whole tables

cdef int build_narrow(RingTable* table, list laid, str hash, int words) except -1:
    cdef Digest digest = digest_find(hash)
    cdef KeyHash function = NULL if digest != NULL else key_hash_find(hash)
    cdef Point* end = table.points
    for name, server, groups in laid:
        if digest != NULL:
            end = add_words(end, digest, name, server, groups, words)
        else:
            end = add_numbers(end, function, name, server, groups)
    return sort_table(table)


cdef int build_points(RingTable* table, list laid, str hash, int words) except -1:
    total = sum([groups for _, _, groups in laid]) * words
    if total > POINTS_MAX:
        raise ValueError(f"weights: {total} points are more than {POINTS_MAX}")
    if total <= 0:
        raise ValueError("weights: no server has a point")
    table.count = total
    table.points = <Point*>malloc((<size_t>table.count + 1) * sizeof(Point))
    if table.points == NULL:
        raise MemoryError
    if hash == "md5_128":
        build_wide(table, laid)
    else:
        build_narrow(table, laid, hash, words)
    table.points[table.count] = Point(0xFFFFFFFFU, table.points[0].server)
    return index_points(table)


cdef int build_slots(RingTable* table, list laid) except -1:
    cdef uint32_t slot = 0
    cdef uint32_t _slot, server
    total = sum([slots for _, slots in laid])
    if not 0 < total <= POINTS_MAX:
        raise ValueError(f"weights: {total} slots are not 1 to {POINTS_MAX}")
    table.count = total
    table.slots = <uint32_t*>calloc(table.count, sizeof(uint32_t))
    if table.slots == NULL:
        raise MemoryError
    for server, slots in laid:
        for _slot in range(<uint32_t>slots):
            table.slots[slot] = server
            slot += 1
    return 0


cdef int points_to_slots(RingTable* table, uint32_t count, uint32_t step) except -1:
    cdef uint32_t slot
    table.slots = <uint32_t*>malloc(count * sizeof(uint32_t))
    if table.slots == NULL:
        raise MemoryError
    for slot in range(count):
        table.slots[slot] = points_at(table, slot * step)
    free(table.points)
    free(table.buckets)
    table.points = NULL
    table.buckets = NULL
    table.count = count
    return 0
