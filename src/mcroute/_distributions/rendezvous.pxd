"""The highest score owns the key: rendezvous hashing, in the five ways that are in use."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._distributions.table cimport RingTable, ScoreRule

# Raises ValueError for a name that is not in SCORES.
cdef ScoreRule score_rule_find(str name) except NULL
# Fills table.numbers and table.labels from the names (bytes), which the ring keeps.
cdef int build_rendezvous(RingTable* table, str name, tuple names) except -1

cdef int rendezvous_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil
# The failover order is by falling score.
cdef int rendezvous_walk(const RingTable* table, const uint8_t* text, size_t size, uint64_t* taken, int count,
                         int* out) noexcept nogil
