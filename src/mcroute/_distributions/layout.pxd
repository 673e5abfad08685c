"""Points and slots: laid out once, when a ring is built."""

from libc.stdint cimport uint32_t

from mcroute._distributions.table cimport RingTable

# `laid` is a list of (name as bytes, server, groups), in the order of precedence of equal points. Group g of
# a name is the hash `hash` of "name-g": the first `words` 32-bit words of a digest, its whole
# 128 bits as one point ("md5_128"), or a number that is one point.
cdef int build_points(RingTable* table, list laid, str hash, int words) except -1
# `laid` is a list of (server, slots).
cdef int build_slots(RingTable* table, list laid) except -1
# Slot b of `count` goes to the owner of b * step on the circle; the points are freed afterwards.
cdef int points_to_slots(RingTable* table, uint32_t count, uint32_t step) except -1
