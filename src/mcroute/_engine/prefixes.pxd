"""Finds the longest of many prefixes that a key begins with, in one pass over the key's first bytes."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

cdef struct Prefix:
    uint8_t* data               # NULL: the slot is empty
    uint32_t size
    uint32_t hash
    int child                   # of the switch

cdef struct PrefixTable:
    Prefix* slots               # by hash, with linear probing; at most half of them are taken
    uint32_t mask               # slots, less one
    uint32_t* sizes             # of the prefixes, each once, rising
    int size_count

# Child i is for texts[i]; of equal texts the first counts.
cdef PrefixTable* prefixes_new(list texts) except NULL
cdef void prefixes_free(PrefixTable* table) noexcept nogil
# The child of the longest prefix that the key begins with, or `other`.
cdef int prefixes_find(const PrefixTable* table, const uint8_t* key, size_t size, int other) noexcept nogil
