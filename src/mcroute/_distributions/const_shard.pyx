"""mcrouter's ConstShard: the number between the first two colons of a key is its server; furc for other keys."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr

from mcroute._distributions.furc cimport furc_owner
from mcroute._distributions.table cimport RingTable


# The number between the first two colons; -1 if that is none, or too large.
cdef int shard_of(const uint8_t* text, size_t size, int servers) noexcept nogil:
    cdef const uint8_t* end = text + size
    cdef const uint8_t* at = <const uint8_t*>memchr(text, c":", size)
    cdef const uint8_t* closing
    cdef int64_t number = 0
    if at == NULL:
        return -1
    at += 1
    closing = <const uint8_t*>memchr(at, c":", end - at)
    if closing == NULL or closing == at:
        return -1
    while at < closing:
        if not c"0" <= at[0] <= c"9":
            return -1
        number = min(number * 10 + at[0] - c"0", <int64_t>servers)
        at += 1
    return <int>number if number < servers else -1


cdef int const_shard_owner(const RingTable* table, const uint8_t* text, size_t size) noexcept nogil:
    cdef int shard = shard_of(text, size, table.size)
    return shard if shard >= 0 else furc_owner(table, text, size)
