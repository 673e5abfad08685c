"""The flags of meta requests, and memcached's errors for bad ones.

Of several faults memcached names one: a sign where a letter belongs comes before all others; an unknown or a
repeated flag ends its reading; of unreadable ones it remembers the last; only then does it look at the mode, and at
the length of the opaque. `ma` has but one sentence for all that its reading finds.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, strlen

from mcroute._protocol.lexing cimport key_is_valid, read_i64, read_u64, request_next_key
from mcroute._protocol.literals cimport DEL, is_digit
from mcroute._protocol.refusals cimport (
    ERROR_DELTA_VALUE, ERROR_FLAG, ERROR_FLAG_EITHER, ERROR_FLAG_TWICE, ERROR_FORMAT, ERROR_INITIAL_VALUE,
    ERROR_KEY_CODE, ERROR_MODE_ARITHMETIC, ERROR_MODE_SET, ERROR_NONE, ERROR_NOT_OFFERED, ERROR_OPAQUE,
    ERROR_OPTIONS, ERROR_TOKEN,
)
from mcroute._protocol.views cimport (
    CMD_META_ARITHMETIC, CMD_META_SET, OPAQUE_MAX, REQ_BASE64, REQ_HAS_KEY, REQ_HAS_OPAQUE, REQ_QUIET,
    REQ_WANTS_CAS, REQ_WANTS_VALUE,
)

cdef enum:
    META_WORDS_MAX = 20     # words of the whole line

# The flags of memcached 1.6.45. An older server itself refuses flags that it does not support.
cdef const char* KNOWN = b"bcfhklqstuvxCDEFIJLMNOPRT"


cdef uint64_t _bit(uint8_t letter) noexcept nogil:
    return 1ULL << (letter - c"A")


cdef uint8_t _base64_digit(uint8_t letter) noexcept nogil:
    """Its value, or 64."""
    if c"A" <= letter <= c"Z":
        return letter - c"A"
    if c"a" <= letter <= c"z":
        return letter - c"a" + 26
    if is_digit(letter):
        return letter - c"0" + 52
    return 62 if letter == c"+" else 63 if letter == c"/" else 64


cdef bint _is_base64(const uint8_t* at, size_t size) noexcept nogil:
    """Whether it is the encoder's spelling: with two spellings, one key would have two owners."""
    cdef size_t i
    cdef size_t body = size
    cdef uint8_t unused
    if size == 0 or size % 4:
        return False
    while size - body < 2 and at[body - 1] == c"=":
        body -= 1
    for i in range(body):
        if _base64_digit(at[i]) == 64:
            return False
    unused = 15 if size - body == 2 else 3 if size - body == 1 else 0
    return _base64_digit(at[body - 1]) & unused == 0


cdef bint _hides_blanks(const uint8_t* at, size_t size) noexcept nogil:
    """Whether sound base64 decodes to a key that could not be written plainly."""
    cdef uint32_t bits = 0
    cdef int filled = 0
    cdef size_t i
    cdef uint8_t byte
    for i in range(size):
        if at[i] == c"=":
            break
        bits = bits << 6 | _base64_digit(at[i])
        filled += 6
        if filled >= 8:
            filled -= 8
            byte = bits >> filled & 0xFF
            if byte <= c" " or byte == DEL:
                return True
    return False


cdef uint8_t _mode(uint8_t letter, bint is_arithmetic) noexcept nogil:
    """The mode's own letter, small; 0 for none."""
    if is_arithmetic:
        if letter == c"+" or letter == c"I":
            return c"i"
        return c"d" if letter == c"-" or letter == c"D" else 0
    return letter - c"A" + c"a" if memchr(b"EARPS", letter, strlen(b"EARPS")) != NULL else 0


cdef int _take_number(uint8_t letter, const uint8_t* token, size_t size, RequestView* view) noexcept nogil:
    """T N R C E D J F; returns an ErrorText. No other flag can have a bad token."""
    cdef bint tidy = True
    cdef uint64_t number = 0
    cdef int64_t seconds = 0
    if letter == 84 or letter == 78 or letter == 82:
        if not read_i64(token, size, &seconds, &tidy) or seconds != <int>seconds:
            return ERROR_TOKEN
        if letter == 84:
            view.exptime = seconds
        return ERROR_NONE
    if letter not in (67, 69, 68, 74, 70):
        return ERROR_NONE
    if not read_u64(token, size, &number, &tidy):
        if letter == 68:
            return ERROR_DELTA_VALUE
        if letter == 74:
            return ERROR_INITIAL_VALUE
        return ERROR_FORMAT if letter == 70 else ERROR_TOKEN
    if letter == 70:
        view.client_flags = number
    elif letter == 68 or (letter == 67 and view.command != CMD_META_ARITHMETIC):
        view.number = number
    return ERROR_NONE


cdef void _take_mark(uint8_t letter, uint32_t offset, uint32_t size, RequestView* view) noexcept nogil:
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
        view.flags |= REQ_HAS_OPAQUE
        view.opaque_offset = offset + 1
        view.opaque_size = size - 1


cdef int _read(const uint8_t* data, RequestView* view, uint64_t* seen, uint32_t* mode) noexcept nogil:
    """One flag after the other; returns the ErrorText of the fault to name. `mode` receives M's offset."""
    cdef uint32_t at = view.flags_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    cdef uint32_t next_at
    cdef int error = ERROR_NONE
    cdef int this_error
    cdef uint8_t letter
    while True:
        next_at = request_next_key(data, at, view.flags_end, &start, &size)
        if next_at == 0:
            return error
        at = next_at
        letter = data[start]
        if memchr(KNOWN, letter, 25) == NULL:
            return ERROR_FLAG
        if seen[0] & _bit(letter):
            return ERROR_FLAG_TWICE
        seen[0] |= _bit(letter)
        if letter == 77:
            mode[0] = start
        _take_mark(letter, start, size, view)
        this_error = _take_number(letter, data + start + 1, size - 1, view)
        if letter == 98 and not _is_base64(data + view.key_offset, view.key_size):
            this_error = ERROR_KEY_CODE
        elif not this_error and not key_is_valid(data + start, size if size < 250 else 250):
            this_error = ERROR_TOKEN
        if this_error and not (error and letter == 70):
            error = this_error


cdef bint _has_sign(const uint8_t* data, RequestView* view) noexcept nogil:
    """Whether a flag begins with neither a letter nor a digit."""
    cdef uint32_t at = view.flags_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    while True:
        at = request_next_key(data, at, view.flags_end, &start, &size)
        if at == 0:
            return False
        if not (is_digit(data[start]) or c"A" <= data[start] <= c"z"):
            return True


cdef int meta_flags_take(const uint8_t* data, Line* line, RequestView* view) noexcept nogil:
    cdef uint32_t mode = 0
    cdef uint64_t seen = 0
    cdef bint is_arithmetic = view.command == CMD_META_ARITHMETIC
    cdef int error = ERROR_OPTIONS if line.count > META_WORDS_MAX else _read(data, view, &seen, &mode)
    if error:
        if _has_sign(data, view):
            return ERROR_FORMAT
        return ERROR_FLAG_EITHER if is_arithmetic else error
    if seen & _bit(78) and view.command != CMD_META_SET and view.flags & REQ_BASE64 and (
            _hides_blanks(data + view.key_offset, view.key_size)):
        # An item that memcached creates for N loses the mark that its key is binary: later replies carry the raw
        # key, line feeds included, so that the client could forge replies.
        return ERROR_NOT_OFFERED
    if mode > 0 and (is_arithmetic or view.command == CMD_META_SET):
        # The byte after a bare M is a blank or the line's end: this is no mode either.
        view.meta_mode = _mode(data[mode + 1], is_arithmetic)
        if not view.meta_mode:
            return ERROR_MODE_ARITHMETIC if is_arithmetic else ERROR_MODE_SET
    return ERROR_OPAQUE if view.opaque_size > OPAQUE_MAX else ERROR_NONE
