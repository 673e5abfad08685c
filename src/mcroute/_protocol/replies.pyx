"""The incremental parser of replies: whatever memcached does not say is out of step."""

from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp, memset

from mcroute._protocol.lexing cimport key_is_valid, read_u64, request_next_key
from mcroute._protocol.refusals cimport ERROR_CHUNK, ERROR_FORMAT, ERROR_LINE_LONG, ERROR_TOO_LARGE
from mcroute._protocol.views cimport (
    OPAQUE_MAX, PARSED_BAD, PARSED_CLOSE, PARSED_MORE, PARSED_OK, REPLY_BUSY, REPLY_CLIENT_ERROR, REPLY_DELETED,
    REPLY_END, REPLY_ERROR, REPLY_EXISTS, REPLY_META_DEBUG, REPLY_META_EXISTS, REPLY_META_HIT,
    REPLY_META_MISS, REPLY_META_NOOP, REPLY_META_NOT_FOUND, REPLY_META_NOT_STORED, REPLY_META_VALUE,
    REPLY_NOT_FOUND, REPLY_NOT_STORED, REPLY_NUMBER, REPLY_OK, REPLY_RESET, REPLY_SERVER_ERROR, REPLY_STAT,
    REPLY_STORED, REPLY_TOUCHED, REPLY_VALUE, REPLY_VERSION,
)

cdef enum:
    REPLY_LINE_MAX = 8192
    VALUE_SAID_MAX = 1 << 30    # bytes: no memcached keeps larger values, whatever its options


cdef inline int _bad_reply(ReplyView* view) noexcept nogil:
    view.error = ERROR_FORMAT
    return PARSED_CLOSE


cdef int _reply_block(const uint8_t* data, size_t size, uint64_t value_max, ReplyView* view) noexcept nogil:
    if view.value_size > VALUE_SAID_MAX:
        return _bad_reply(view)
    view.value_offset = view.line_size
    view.size = view.line_size + view.value_size + 2
    if view.value_size > value_max:
        view.error = ERROR_TOO_LARGE
        return PARSED_BAD
    if size < view.size:
        return PARSED_MORE
    if data[view.size - 2] != 13 or data[view.size - 1] != 10:
        view.error = ERROR_CHUNK
        return PARSED_CLOSE
    return PARSED_OK


cdef inline const uint8_t* _reply_number(const uint8_t* at, const uint8_t* end, uint64_t* number) noexcept nogil:
    """Digits up to a space or the end; NULL when there are none, or too many."""
    cdef const uint8_t* start = at
    cdef bint tidy
    while at < end and at[0] != 32:
        at += 1
    return at if read_u64(start, at - start, number, &tidy) else NULL


cdef int _reply_value(const uint8_t* data, const uint8_t* end, size_t size, uint64_t value_max,
                      ReplyView* view) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>memchr(data + 6, 32, end - data - 6)
    if at == NULL:
        return _bad_reply(view)
    view.kind = REPLY_VALUE
    view.key_offset = 6
    view.key_size = at - data - 6
    if not key_is_valid(data + 6, view.key_size):
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
        if data[start] == 107:
            view.key_offset = start + 1
            view.key_size = size - 1
        elif data[start] == 79:
            if size - 1 > OPAQUE_MAX:
                return _bad_reply(view)
            view.opaque_offset = start + 1
            view.opaque_size = size - 1
        elif data[start] == 99:
            if not read_u64(data + start + 1, size - 1, &view.number, &tidy):
                return _bad_reply(view)
            view.has_cas = 1
        elif data[start] == 102:
            if not read_u64(data + start + 1, size - 1, &view.client_flags, &tidy):
                return _bad_reply(view)


cdef int _meta_kind(const uint8_t* data) noexcept nogil:
    cdef int code = data[0] << 8 | data[1]
    if code == 0x4844:
        return REPLY_META_HIT
    if code == 0x5641:
        return REPLY_META_VALUE
    if code == 0x454E:
        return REPLY_META_MISS
    if code == 0x4E46:
        return REPLY_META_NOT_FOUND
    if code == 0x4E53:
        return REPLY_META_NOT_STORED
    if code == 0x4558:
        return REPLY_META_EXISTS
    if code == 0x4D4E:
        return REPLY_META_NOOP
    if code == 0x4D45:
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


cdef inline bint _begins(const uint8_t* data, size_t size, const char* text, size_t text_size) noexcept nogil:
    return size >= text_size and memcmp(data, text, text_size) == 0


cdef inline bint _equals(const uint8_t* data, size_t size, const char* text, size_t text_size) noexcept nogil:
    return size == text_size and memcmp(data, text, text_size) == 0


cdef int _reply_kind(const uint8_t* data, size_t size) noexcept nogil:
    """Kind of a line that is neither VALUE, meta nor a number; -1 when it is none."""
    if _equals(data, size, b"STORED", 6):
        return REPLY_STORED
    if _equals(data, size, b"NOT_STORED", 10):
        return REPLY_NOT_STORED
    if _equals(data, size, b"EXISTS", 6):
        return REPLY_EXISTS
    if _equals(data, size, b"NOT_FOUND", 9):
        return REPLY_NOT_FOUND
    if _equals(data, size, b"DELETED", 7):
        return REPLY_DELETED
    if _equals(data, size, b"TOUCHED", 7):
        return REPLY_TOUCHED
    if _equals(data, size, b"OK", 2):
        return REPLY_OK
    if _equals(data, size, b"RESET", 5):
        return REPLY_RESET
    if _equals(data, size, b"ERROR", 5):
        return REPLY_ERROR
    if _begins(data, size, b"STAT ", 5):
        return REPLY_STAT
    if _begins(data, size, b"VERSION ", 8):
        return REPLY_VERSION
    if _begins(data, size, b"CLIENT_ERROR", 12):
        return REPLY_CLIENT_ERROR
    if _begins(data, size, b"SERVER_ERROR", 12):
        return REPLY_SERVER_ERROR
    if _begins(data, size, b"BUSY", 4):
        return REPLY_BUSY
    return -1


cdef int reply_parse(const uint8_t* data, size_t size, uint64_t value_max, ReplyView* view) noexcept nogil:
    cdef const uint8_t* newline
    cdef const uint8_t* end
    cdef size_t line
    cdef int kind
    memset(view, 0, sizeof(ReplyView))
    newline = <const uint8_t*>memchr(data, 10, size if size < REPLY_LINE_MAX else REPLY_LINE_MAX) if size else NULL
    if newline == NULL:
        if size >= REPLY_LINE_MAX:
            view.error = ERROR_LINE_LONG
            return PARSED_CLOSE
        view.size = size + 1
        return PARSED_MORE
    if newline == data or (newline - 1)[0] != 13:
        return _bad_reply(view)
    view.line_size = newline - data + 1
    view.size = view.line_size
    end = newline - 1
    line = end - data
    if _begins(data, line, b"VALUE ", 6):
        return _reply_value(data, end, size, value_max, view)
    if _equals(data, line, b"END", 3):
        view.kind = REPLY_END
        return PARSED_OK
    if line and 48 <= data[0] <= 57:
        view.kind = REPLY_NUMBER
        # decr pads the shortened number with spaces inside the item, never in the reply
        return PARSED_OK if _reply_number(data, end, &view.number) == end else _bad_reply(view)
    kind = _meta_kind(data) if line == 2 or (line > 2 and data[2] == 32) else -1
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
    DIGITS_MAX = 10         # more of them are left to reply_parse, which minds overflow


cdef inline const uint8_t* _digits(const uint8_t* at, const uint8_t* end, uint64_t* number) noexcept nogil:
    """Behind the digits, of which there may be none."""
    cdef uint64_t value = 0
    if end - at > DIGITS_MAX:
        end = at + DIGITS_MAX
    while at < end and <uint8_t>(at[0] - 48) <= 9:
        value = value * 10 + <uint8_t>(at[0] - 48)
        at += 1
    number[0] = value
    return at


cdef size_t reply_item(const uint8_t* data, size_t size, const uint8_t* key, size_t key_size,
                       uint64_t value_max) noexcept nogil:
    cdef const uint8_t* end = data + size
    cdef const uint8_t* start
    cdef const uint8_t* at
    cdef uint64_t number = 0
    cdef size_t whole
    if size < key_size + ITEM_REST or memcmp(data, b"VALUE ", 6) != 0 or memcmp(data + 6, key, key_size) != 0:
        return 0
    start = data + 6 + key_size
    at = _digits(start + 1, end, &number)
    if start[0] != 32 or at == start + 1 or end - at < 4 or at[0] != 32:
        return 0
    start = at
    at = _digits(start + 1, end, &number)
    if at == start + 1 or number > value_max or end - at < 4 or at[0] != 13 or at[1] != 10:
        return 0
    whole = at + 2 - data + <size_t>number + 2
    return whole if whole <= size and data[whole - 2] == 13 and data[whole - 1] == 10 else 0
