"""Prefixes in a hash table, looked up at each length that one of them has.

FNV-1a goes byte by byte, so the hash of a longer prefix is the shorter one's carried on: the key is read once.
"""

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

cdef enum:
    FNV_BASIS = 0x811C9DC5
    FNV_PRIME = 0x01000193


cdef inline uint32_t _hash_on(uint32_t hash, const uint8_t* data, size_t start, size_t end) noexcept nogil:
    cdef size_t i
    for i in range(start, end):
        hash = (hash ^ data[i]) * <uint32_t>FNV_PRIME
    return hash


cdef PrefixTable* prefixes_new(list texts) except NULL:
    cdef PrefixTable* table = <PrefixTable*>calloc(1, sizeof(PrefixTable))
    cdef uint32_t slots = 2
    if table == NULL:
        raise MemoryError
    try:
        while slots < 2 * <uint32_t>len(texts):
            slots *= 2
        table.mask = slots - 1
        table.slots = <Prefix*>calloc(slots, sizeof(Prefix))
        if table.slots == NULL:
            raise MemoryError
        for child, text in enumerate(texts):
            _add_prefix(table, text, child)
        _lay_out_sizes(table, sorted({len(text) for text in texts}))
    except BaseException:
        prefixes_free(table)
        raise
    return table


cdef int _add_prefix(PrefixTable* table, bytes text, int child) except -1:
    cdef const uint8_t* data = text
    cdef uint32_t size = <uint32_t>len(text)
    cdef uint32_t hash = _hash_on(<uint32_t>FNV_BASIS, data, 0, size)
    cdef uint32_t at = hash & table.mask
    while table.slots[at].data != NULL:
        at = (at + 1) & table.mask
    table.slots[at].data = <uint8_t*>malloc(max(1, size))
    if table.slots[at].data == NULL:
        raise MemoryError
    memcpy(table.slots[at].data, data, size)
    table.slots[at].size = size
    table.slots[at].hash = hash
    table.slots[at].child = child
    return 0


cdef int _lay_out_sizes(PrefixTable* table, list sizes) except -1:
    cdef int i
    table.sizes = <uint32_t*>malloc(max(1, len(sizes)) * sizeof(uint32_t))
    if table.sizes == NULL:
        raise MemoryError
    for i, size in enumerate(sizes):
        table.sizes[i] = size
    table.size_count = <int>len(sizes)
    return 0


cdef void prefixes_free(PrefixTable* table) noexcept nogil:
    cdef uint32_t i
    if table == NULL:
        return
    if table.slots != NULL:
        for i in range(table.mask + 1):
            free(table.slots[i].data)
    free(table.slots)
    free(table.sizes)
    free(table)


cdef int prefixes_find(const PrefixTable* table, const uint8_t* key, size_t size, int other) noexcept nogil:
    cdef int child = other
    cdef uint32_t hash = <uint32_t>FNV_BASIS
    cdef size_t hashed = 0
    cdef const Prefix* prefix
    cdef uint32_t at
    cdef int i
    for i in range(table.size_count):
        if table.sizes[i] > size:
            break
        hash = _hash_on(hash, key, hashed, table.sizes[i])
        hashed = table.sizes[i]
        at = hash & table.mask
        while table.slots[at].data != NULL:
            prefix = &table.slots[at]
            if prefix.hash == hash and prefix.size == hashed and memcmp(prefix.data, key, hashed) == 0:
                child = prefix.child
                break
            at = (at + 1) & table.mask
    return child
