"""The incremental parser of replies: anything that memcached never sends is a desync."""

from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp, memset, strlen

from mcroute._protocol.lexing cimport key_is_valid, read_u64, request_next_key, short_number
from mcroute._protocol.literals cimport is_digit, text_begins, text_is
from mcroute._protocol.refusals cimport ERROR_CHUNK, ERROR_FORMAT, ERROR_LINE_LONG, ERROR_TOO_LARGE
from mcroute._protocol.views cimport (
    OPAQUE_MAX, PARSED_BAD, PARSED_CLOSE, PARSED_MORE, PARSED_OK, REPLY_BUSY, REPLY_CLIENT_ERROR,
    REPLY_DELETED, REPLY_END, REPLY_ERROR, REPLY_EXISTS, REPLY_META_DEBUG, REPLY_META_EXISTS, REPLY_META_HIT,
    REPLY_META_MISS, REPLY_META_NOOP, REPLY_META_NOT_FOUND, REPLY_META_NOT_STORED, REPLY_META_VALUE,
    REPLY_NOT_FOUND, REPLY_NOT_STORED, REPLY_NUMBER, REPLY_OK, REPLY_RESET, REPLY_SERVER_ERROR, REPLY_STAT,
    REPLY_STORED, REPLY_TOUCHED, REPLY_VALUE, REPLY_VERSION,
)

cdef enum:
    REPLY_LINE_MAX = 8192
    VALUE_ANNOUNCED_MAX = 1 << 30  # bytes: no memcached keeps larger values, whatever its options


cdef inline int _bad_reply(ReplyView* view) noexcept nogil:
    view.error = ERROR_FORMAT
    return PARSED_CLOSE


cdef int _reply_block(const uint8_t* data, size_t size, uint64_t value_max, ReplyView* view) noexcept nogil:
    if view.value_size > VALUE_ANNOUNCED_MAX:
        return _bad_reply(view)
    view.value_offset = view.line_size
    view.size = view.line_size + view.value_size + 2
    if view.value_size > value_max:
        view.error = ERROR_TOO_LARGE
        return PARSED_BAD
    if size < view.size:
        return PARSED_MORE
    if data[view.size - 2] != c"\r" or data[view.size - 1] != c"\n":
        view.error = ERROR_CHUNK
        return PARSED_CLOSE
    return PARSED_OK


cdef inline const uint8_t* _reply_number(const uint8_t* at, const uint8_t* end, uint64_t* number) noexcept nogil:
    """Digits up to a space or the end; NULL when there are none, or too many."""
    cdef const uint8_t* start = at
    cdef bint tidy
    while at < end and at[0] != c" ":
        at += 1
    return at if read_u64(start, at - start, number, &tidy) else NULL


cdef int _reply_value(const uint8_t* data, const uint8_t* end, size_t size, uint64_t value_max,
                      ReplyView* view) noexcept nogil:
    cdef const uint8_t* key = data + strlen(b"VALUE ")
    cdef const uint8_t* at = <const uint8_t*>memchr(key, c" ", end - key)
    if at == NULL:
        return _bad_reply(view)
    view.kind = REPLY_VALUE
    view.key_offset = key - data
    view.key_size = at - key
    if not key_is_valid(key, view.key_size):
        return _bad_reply(view)
    at = _reply_number(at + 1, end, &view.client_flags)
    if at == NULL or at >= end:
        return _bad_reply(view)
    at = _reply_number(at + 1, end, &view.value_size)
    if at == NULL:
        return _bad_reply(view)
    if at < end:
        view.has_cas = 1
        at = _reply_number(at + 1, end, &view.number)
        if at != end:
            return _bad_reply(view)
    return _reply_block(data, size, value_max, view)


cdef int _reply_flags(const uint8_t* data, uint32_t at, uint32_t end, ReplyView* view) noexcept nogil:
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    cdef bint tidy
    view.flags_offset = at
    view.flags_end = end
    while True:
        at = request_next_key(data, at, end, &start, &size)
        if at == 0:
            return PARSED_OK
        if data[start] == c"k":
            view.key_offset = start + 1
            view.key_size = size - 1
        elif data[start] == c"O":
            if size - 1 > OPAQUE_MAX:
                return _bad_reply(view)
            view.opaque_offset = start + 1
            view.opaque_size = size - 1
        elif data[start] == c"c":
            if not read_u64(data + start + 1, size - 1, &view.number, &tidy):
                return _bad_reply(view)
            view.has_cas = 1
        elif data[start] == c"f":
            if not read_u64(data + start + 1, size - 1, &view.client_flags, &tidy):
                return _bad_reply(view)


cdef int _meta_kind(const uint8_t* data) noexcept nogil:
    cdef int code = data[0] << 8 | data[1]
    if code == (c"H" << 8 | c"D"):
        return REPLY_META_HIT
    if code == (c"V" << 8 | c"A"):
        return REPLY_META_VALUE
    if code == (c"E" << 8 | c"N"):
        return REPLY_META_MISS
    if code == (c"N" << 8 | c"F"):
        return REPLY_META_NOT_FOUND
    if code == (c"N" << 8 | c"S"):
        return REPLY_META_NOT_STORED
    if code == (c"E" << 8 | c"X"):
        return REPLY_META_EXISTS
    if code == (c"M" << 8 | c"N"):
        return REPLY_META_NOOP
    if code == (c"M" << 8 | c"E"):
        return REPLY_META_DEBUG
    return -1


cdef int _reply_meta(const uint8_t* data, const uint8_t* end, size_t size, uint64_t value_max,
                     ReplyView* view) noexcept nogil:
    cdef const uint8_t* at = data + 2
    cdef uint32_t start = 0
    if view.kind == REPLY_META_NOOP:
        return PARSED_OK if at == end else _bad_reply(view)
    if view.kind == REPLY_META_DEBUG:
        if request_next_key(data, 2, end - data, &view.key_offset, &view.key_size) == 0:
            return _bad_reply(view)
        view.flags_offset = view.key_offset + view.key_size
        view.flags_end = end - data
        return PARSED_OK
    if view.kind == REPLY_META_VALUE:
        at = _reply_number(at + 1, end, &view.value_size) if at < end else NULL
        if at == NULL:
            return _bad_reply(view)
    start = at - data
    if at < end:
        start += 1
    if _reply_flags(data, start, end - data, view) != PARSED_OK:
        return PARSED_CLOSE
    return _reply_block(data, size, value_max, view) if view.kind == REPLY_META_VALUE else PARSED_OK


cdef int _reply_kind(const uint8_t* data, size_t size) noexcept nogil:
    """Kind of a line that is neither VALUE, meta nor a number; -1 when it is none."""
    if text_is(data, size, b"STORED"):
        return REPLY_STORED
    if text_is(data, size, b"NOT_STORED"):
        return REPLY_NOT_STORED
    if text_is(data, size, b"EXISTS"):
        return REPLY_EXISTS
    if text_is(data, size, b"NOT_FOUND"):
        return REPLY_NOT_FOUND
    if text_is(data, size, b"DELETED"):
        return REPLY_DELETED
    if text_is(data, size, b"TOUCHED"):
        return REPLY_TOUCHED
    if text_is(data, size, b"OK"):
        return REPLY_OK
    if text_is(data, size, b"RESET"):
        return REPLY_RESET
    if text_is(data, size, b"ERROR"):
        return REPLY_ERROR
    if text_begins(data, size, b"STAT "):
        return REPLY_STAT
    if text_begins(data, size, b"VERSION "):
        return REPLY_VERSION
    if text_begins(data, size, b"CLIENT_ERROR"):
        return REPLY_CLIENT_ERROR
    if text_begins(data, size, b"SERVER_ERROR"):
        return REPLY_SERVER_ERROR
    if text_begins(data, size, b"BUSY"):
        return REPLY_BUSY
    return -1


cdef int reply_parse(const uint8_t* data, size_t size, uint64_t value_max, ReplyView* view) noexcept nogil:
    cdef const uint8_t* newline
    cdef const uint8_t* end
    cdef size_t line
    cdef int kind
    memset(view, 0, sizeof(ReplyView))
    newline = <const uint8_t*>memchr(data, c"\n", size if size < REPLY_LINE_MAX else REPLY_LINE_MAX) if size else NULL
    if newline == NULL:
        if size >= REPLY_LINE_MAX:
            view.error = ERROR_LINE_LONG
            return PARSED_CLOSE
        view.size = size + 1
        return PARSED_MORE
    if newline == data or (newline - 1)[0] != c"\r":
        return _bad_reply(view)
    view.line_size = newline - data + 1
    view.size = view.line_size
    end = newline - 1
    line = end - data
    if text_begins(data, line, b"VALUE "):
        return _reply_value(data, end, size, value_max, view)
    if text_is(data, line, b"END"):
        view.kind = REPLY_END
        return PARSED_OK
    if line and is_digit(data[0]):
        view.kind = REPLY_NUMBER
        # decr pads the shortened number with spaces inside the item, never in the reply
        return PARSED_OK if _reply_number(data, end, &view.number) == end else _bad_reply(view)
    kind = _meta_kind(data) if line == 2 or (line > 2 and data[2] == c" ") else -1
    if kind >= 0:
        view.kind = kind
        return _reply_meta(data, end, size, value_max, view)
    kind = _reply_kind(data, line)
    if kind < 0:
        return _bad_reply(view)
    view.kind = kind
    return PARSED_OK


cdef enum:
    ITEM_REST = 14          # bytes of the shortest item beside its key: "VALUE ", " 0 0", two line ends


cdef size_t reply_item(const uint8_t* data, size_t size, const uint8_t* key, size_t key_size,
                       uint64_t value_max) noexcept nogil:
    cdef const uint8_t* end = data + size
    cdef const uint8_t* start = data + strlen(b"VALUE ")
    cdef const uint8_t* at
    cdef uint64_t number = 0
    cdef size_t whole
    if size < key_size + ITEM_REST or not text_begins(data, size, b"VALUE ") or memcmp(start, key, key_size) != 0:
        return 0
    start += key_size
    at = short_number(start + 1, end, &number)
    if start[0] != c" " or at == start + 1 or end - at < 4 or at[0] != c" ":
        return 0
    start = at
    at = short_number(start + 1, end, &number)
    if at == start + 1 or number > value_max or end - at < 4 or at[0] != c"\r" or at[1] != c"\n":
        return 0
    whole = at + 2 - data + <size_t>number + 2
    return whole if whole <= size and data[whole - 2] == c"\r" and data[whole - 1] == c"\n" else 0
