"""Jump hash: Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

from mcroute._distributions.table cimport RingTable, in_mask, mask_add, text_hash

cdef enum:
    JUMPS = 32                  # of the failover order, before it goes on by index


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


# ---- the failover order

cdef inline uint64_t next_seed(uint64_t value) noexcept nogil:
    value += 0x9E3779B97F4A7C15ULL
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCDULL
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53ULL
    return value ^ (value >> 33)


cdef int jump_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                   int* out) noexcept nogil:
    cdef uint64_t seed = text_hash(table, text, size)
    cdef int server = table.owner(table, text, size)
    cdef int found = 0
    cdef int step
    for step in range(JUMPS + table.size):
        if not in_mask(taken, server):
            mask_add(taken, server)
            out[found] = server
            found += 1
            if found == count:
                break
        if step < JUMPS - 1:
            seed = next_seed(seed)
            server = jump_hash(seed, table.size)
        else:
            server = (server + 1) % table.size
    return found
