"""A placement, which is Python, laid out as the table of a ring."""

from mcroute._distributions.table cimport RingTable

# Fills an empty table from a mcroute.placement.Placement, which must live as long. If it raises, allocated memory
# belongs to the table: call table_free.
# raises is the table's: table_free.
cdef int table_fill(RingTable* table, placement) except -1
cdef void table_free(RingTable* table) noexcept
# Bytes that a filled table has allocated, itself included.
cdef size_t table_bytes(const RingTable* table) noexcept
