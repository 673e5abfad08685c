# Only for use from Cython: see refill_replies.pxd.
"""Reads the returned flags of a meta reply, one after the other."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from mcroute._protocol cimport PARSED_OK, REPLY_META_VALUE, ReplyView, reply_parse, request_next_key


cdef uint64_t _number(const uint8_t* digits, uint32_t size) noexcept nogil:
    cdef uint64_t number = 0
    cdef uint32_t i
    for i in range(size):
        if not c"0" <= digits[i] <= c"9":
            break
        number = 10 * number + (digits[i] - c"0")
    return number


cdef void _take_flag(Item* item, const uint8_t* flag, uint32_t size) noexcept nogil:
    if flag[0] == c"f":
        item.client_flags = _number(flag + 1, size - 1)
    elif flag[0] == c"c":
        item.cas = _number(flag + 1, size - 1)
    elif flag[0] == c"t" and size > 1 and flag[1] != c"-":
        item.ttl = <int64_t>_number(flag + 1, size - 1)
    elif flag[0] == c"W" or flag[0] == c"X" or flag[0] == c"Z":
        item.is_stale = True


cdef bint item_parse(Slice reply, Item* item) noexcept nogil:
    cdef ReplyView view
    cdef const uint8_t* data
    cdef uint32_t at
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    memset(item, 0, sizeof(Item))
    item.ttl = -1
    if reply.block == NULL:
        return False
    data = reply.block.data + reply.offset
    if reply_parse(data, reply.size, <size_t>-1, &view) != PARSED_OK:
        return False
    if view.kind == REPLY_META_VALUE:
        item.value = Slice(reply.block, reply.offset + <size_t>view.value_offset, <size_t>view.value_size)
    at = view.flags_offset
    while True:
        at = request_next_key(data, at, view.flags_end, &start, &size)
        if at == 0:
            return True
        _take_flag(item, data + start, size)
