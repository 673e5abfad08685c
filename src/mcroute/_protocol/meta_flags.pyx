"""The flags of meta requests, with what memcached says about bad ones."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr

from mcroute._protocol.lexing cimport Word, key_is_valid, read_i64, read_u64, request_next_key
from mcroute._protocol.refusals cimport (
    ERROR_FLAG, ERROR_FLAG_EITHER, ERROR_FLAG_TWICE, ERROR_FORMAT, ERROR_KEY_CODE, ERROR_MODE_ARITHMETIC,
    ERROR_MODE_SET, ERROR_NONE, ERROR_OPAQUE, ERROR_OPTIONS, ERROR_TOKEN,
)
from mcroute._protocol.views cimport (
    CMD_META_ARITHMETIC, CMD_META_SET, OPAQUE_MAX, REQ_BASE64, REQ_HAS_KEY, REQ_HAS_OPAQUE, REQ_QUIET,
    REQ_WANTS_CAS, REQ_WANTS_VALUE,
)

cdef enum:
    META_FLAGS_MAX = 20


cdef bint _is_base64(const uint8_t* at, size_t size) noexcept nogil:
    cdef size_t i
    cdef size_t body = size
    if size % 4:
        return False
    while body > 0 and size - body < 2 and at[body - 1] == 61:
        body -= 1
    for i in range(body):
        if not (65 <= at[i] <= 90 or 97 <= at[i] <= 122 or 48 <= at[i] <= 57 or at[i] == 43 or at[i] == 47):
            return False
    return True


cdef uint8_t _set_mode(uint8_t letter) noexcept nogil:
    letter |= 32
    return letter if memchr(b"earps", letter, 5) != NULL else 0


cdef uint8_t _arithmetic_mode(uint8_t letter) noexcept nogil:
    if letter == 43:
        return 105
    if letter == 45:
        return 100
    letter |= 32
    return letter if letter == 105 or letter == 100 else 0


cdef int _take_flag(const uint8_t* data, const Word* flag, RequestView* view) noexcept nogil:
    """Reads one meta flag into the view; returns an ErrorText."""
    cdef uint8_t letter = flag.start[0]
    cdef const uint8_t* token = flag.start + 1
    cdef size_t size = flag.size - 1
    cdef bint tidy = True
    cdef bint arithmetic = view.command == CMD_META_ARITHMETIC
    cdef uint64_t number = 0
    cdef int64_t signed_number = 0
    if letter == 113:       # q
        view.flags |= REQ_QUIET
    elif letter == 98:      # b
        view.flags |= REQ_BASE64
    elif letter == 107:     # k
        view.flags |= REQ_HAS_KEY
    elif letter == 118:     # v
        view.flags |= REQ_WANTS_VALUE
    elif letter == 99:      # c
        view.flags |= REQ_WANTS_CAS
    elif letter == 79:      # O
        if size > OPAQUE_MAX:
            return ERROR_OPAQUE
        view.flags |= REQ_HAS_OPAQUE
        view.opaque_offset = token - data
        view.opaque_size = size
    elif letter == 84 or letter == 78 or letter == 82:      # T, N, R
        if not read_i64(token, size, &signed_number, &tidy) or signed_number != <int>signed_number:
            return ERROR_FLAG_EITHER if arithmetic else ERROR_TOKEN
        if letter == 84:
            view.exptime = signed_number
    elif letter == 67 or letter == 69:                      # C, E
        if not read_u64(token, size, &number, &tidy):
            return ERROR_FLAG_EITHER if arithmetic else ERROR_TOKEN
        if letter == 67:
            view.number = number
    elif arithmetic and (letter == 68 or letter == 74):     # D, J
        if not read_u64(token, size, &number, &tidy):
            return ERROR_FLAG_EITHER
        if letter == 68:
            view.number = number
    elif letter == 70 and view.command == CMD_META_SET:     # F
        if not read_u64(token, size, &number, &tidy) or number > 0xFFFFFFFFU:
            return ERROR_FORMAT
        view.client_flags = <uint32_t>number
    elif letter == 77 and view.command == CMD_META_SET:     # M
        view.meta_mode = _set_mode(token[0]) if size else 0
        if not view.meta_mode:
            return ERROR_MODE_SET
    elif letter == 77 and arithmetic:
        view.meta_mode = _arithmetic_mode(token[0]) if size else 0
        if not view.meta_mode:
            return ERROR_MODE_ARITHMETIC
    return ERROR_NONE


cdef int meta_flags_take(const uint8_t* data, Line* line, RequestView* view, bint* framing) noexcept nogil:
    """All meta flags, from flags_offset on. `framing` tells that memcached would not swallow a data block."""
    cdef uint32_t at = view.flags_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    cdef uint32_t next_at
    cdef uint64_t seen = 0
    cdef uint64_t bit
    cdef int count = 0
    cdef int error = ERROR_NONE
    cdef int this_error
    cdef uint8_t letter
    cdef Word flag
    cdef bint arithmetic = view.command == CMD_META_ARITHMETIC
    while True:
        next_at = request_next_key(data, at, view.flags_end, &start, &size)
        if next_at == 0:
            break
        line.tidy &= start == at + (count > 0)
        at = next_at
        count += 1
        if count > META_FLAGS_MAX:
            return ERROR_OPTIONS
        letter = data[start]
        if not (65 <= letter <= 90 or 97 <= letter <= 122):
            framing[0] = True
            return ERROR_FLAG if 48 <= letter <= 57 else ERROR_FORMAT
        bit = 1ULL << (letter - 65)
        flag.start = data + start
        flag.size = size
        if seen & bit:
            this_error = ERROR_FLAG_EITHER if arithmetic else ERROR_FLAG_TWICE
        elif not key_is_valid(flag.start, flag.size):
            this_error = ERROR_TOKEN
        else:
            this_error = _take_flag(data, &flag, view)
        seen |= bit
        if not error:
            error = this_error
    if not error and view.flags & REQ_BASE64 and not _is_base64(data + view.key_offset, view.key_size):
        error = ERROR_KEY_CODE
    return error
