"""Consistent-hash ring: the server of a key."""

cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._distributions.table cimport RingTable

cdef enum:
    MCROUTE_RING_API = 1        # increased when anything below changes


@cython.final
cdef class Ring:
    cdef RingTable* table               # never read outside of this package
    cdef readonly object servers        # names, in the order that indices refer to
    cdef readonly tuple weights
    cdef readonly str distribution
    cdef readonly object inherited      # None for a distribution of mcroute's own
    cdef readonly object placement      # the table points to its bytes
    cdef object rebuilt                 # (servers that are out, the ring without them)
    cdef object __weakref__

# The table of a ring, for callers without the GIL; lives as long as the ring object does.
cdef RingTable* ring_table(Ring ring) noexcept
cdef int ring_size(const RingTable* table) noexcept nogil
# Index of the key's owner. `skip` is a bit mask over server indices, (size + 63) // 64 words, or NULL;
# -1 when every server is skipped.
cdef int ring_owner(const RingTable* table, const uint8_t* key, size_t size,
                    const uint64_t* skip) noexcept nogil
# The owners of `count` keys, as ring_owner has them with nobody skipped; faster than one by one.
cdef void ring_owner_each(const RingTable* table, const uint8_t** keys, size_t* sizes, size_t count,
                          int* out) noexcept nogil
# The first `count` distinct owners in failover order, written to out; returns how many there were.
cdef int ring_owners(const RingTable* table, const uint8_t* key, size_t size, const uint64_t* skip,
                     int count, int* out) noexcept nogil
