"""The hashed part of a key."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._distributions.table cimport KeyRule

cdef enum:
    ROOM = 1536                 # bytes: the longest key of memcached in its longest spelling, and a prefix


# The text that a rule makes of a key. It may point into the key: it is valid as long as the key, until key_release.
cdef struct KeyText:
    const uint8_t* data
    size_t size
    uint8_t* owned              # NULL while `room` suffices
    uint8_t[ROOM] room

# Without memory for the text, it is the key itself.
cdef void key_read(const KeyRule* rule, const uint8_t* key, size_t size, KeyText* text) noexcept nogil
cdef void key_release(KeyText* text) noexcept nogil

# Fills `rule` from `what`, a mcroute.placement.KeyRule; its texts live as long as the bytes in `what` do.
# Returns whether the rule changes anything.
cdef bint key_rule_fill(KeyRule* rule, what) except -1
