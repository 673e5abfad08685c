"""Incremental parsers of memcached requests and replies, and the encoders of canonical requests.

Refusals use memcached 1.6.45's words and swallow what it would swallow. Where mcroute is stricter on purpose:

====================================  =============================  ==========================================
input                                 memcached 1.6.45               mcroute
====================================  =============================  ==========================================
control character in a key            accepted                       ``CLIENT_ERROR bad command line format``
get with a key over 250 bytes         error and an empty line        the error alone, before any VALUE
client flags above 32 bits or signed  truncated                      ``CLIENT_ERROR bad command line format``
binary, TLS, HTTP, RESP at the start  ``ERROR`` or close             closed without a word
get line without an end               buffered without bound         closed at ``get_line_max``
====================================  =============================  ==========================================
"""

cimport cython
from libc.string cimport memchr, memcmp, memcpy, memset

from mcroute.errors import LocalProtocolError, RemoteProtocolError

__all__ = (
    "COMMAND_NAMES",
    "NEED_DATA",
    "REPLY_NAMES",
    "Refusal",
    "Reply",
    "ReplyParser",
    "Request",
    "RequestParser",
    "count_replies",
    "count_requests",
    "encode_request",
)

cdef enum:
    WORDS_MAX = 8           # words looked at in a classic line; memcached ignores what lies behind
    META_FLAGS_MAX = 20
    REPLY_LINE_MAX = 8192
    DATA_MAX = 2147483645   # the largest length that memcached reads as one: INT_MAX - 2

cdef struct Word:
    const uint8_t* start
    size_t size

cdef struct Line:
    const uint8_t* start
    const uint8_t* end      # before the line end
    Word words[WORDS_MAX]
    int count
    bint tidy               # single spaces, CRLF

cdef const char* ERROR_TEXTS[ERROR_TEXT_COUNT]
ERROR_TEXTS[<int>ERROR_NONE] = b""
ERROR_TEXTS[<int>ERROR_UNKNOWN] = b"ERROR\r\n"
ERROR_TEXTS[<int>ERROR_FORMAT] = b"CLIENT_ERROR bad command line format\r\n"
ERROR_TEXTS[<int>ERROR_CHUNK] = b"CLIENT_ERROR bad data chunk\r\n"
ERROR_TEXTS[<int>ERROR_TOO_LARGE] = b"SERVER_ERROR object too large for cache\r\n"
ERROR_TEXTS[<int>ERROR_LINE_LONG] = b"CLIENT_ERROR line too long\r\n"
ERROR_TEXTS[<int>ERROR_EXPTIME] = b"CLIENT_ERROR invalid exptime argument\r\n"
ERROR_TEXTS[<int>ERROR_DELTA] = b"CLIENT_ERROR invalid numeric delta argument\r\n"
ERROR_TEXTS[<int>ERROR_FLAG] = b"CLIENT_ERROR invalid flag\r\n"
ERROR_TEXTS[<int>ERROR_FLAG_TWICE] = b"CLIENT_ERROR duplicate flag\r\n"
ERROR_TEXTS[<int>ERROR_FLAG_EITHER] = b"CLIENT_ERROR invalid or duplicate flag\r\n"
ERROR_TEXTS[<int>ERROR_TOKEN] = b"CLIENT_ERROR bad token in command line format\r\n"
ERROR_TEXTS[<int>ERROR_OPAQUE] = b"CLIENT_ERROR opaque token too long\r\n"
ERROR_TEXTS[<int>ERROR_OPTIONS] = b"CLIENT_ERROR options flags are too long\r\n"
ERROR_TEXTS[<int>ERROR_MODE_SET] = b"CLIENT_ERROR invalid mode for ms M token\r\n"
ERROR_TEXTS[<int>ERROR_MODE_ARITHMETIC] = b"CLIENT_ERROR invalid mode for ma M token\r\n"
ERROR_TEXTS[<int>ERROR_KEY_CODE] = b"CLIENT_ERROR error decoding key\r\n"

cdef size_t ERROR_SIZES[ERROR_TEXT_COUNT]
cdef int _index
for _index in range(ERROR_TEXT_COUNT):
    ERROR_SIZES[_index] = len(<bytes>ERROR_TEXTS[_index])

cdef const char* COMMAND_WORDS[COMMAND_COUNT]
COMMAND_WORDS[<int>CMD_GET] = b"get"
COMMAND_WORDS[<int>CMD_GETS] = b"gets"
COMMAND_WORDS[<int>CMD_GAT] = b"gat"
COMMAND_WORDS[<int>CMD_GATS] = b"gats"
COMMAND_WORDS[<int>CMD_SET] = b"set"
COMMAND_WORDS[<int>CMD_ADD] = b"add"
COMMAND_WORDS[<int>CMD_REPLACE] = b"replace"
COMMAND_WORDS[<int>CMD_APPEND] = b"append"
COMMAND_WORDS[<int>CMD_PREPEND] = b"prepend"
COMMAND_WORDS[<int>CMD_CAS] = b"cas"
COMMAND_WORDS[<int>CMD_DELETE] = b"delete"
COMMAND_WORDS[<int>CMD_INCR] = b"incr"
COMMAND_WORDS[<int>CMD_DECR] = b"decr"
COMMAND_WORDS[<int>CMD_TOUCH] = b"touch"
COMMAND_WORDS[<int>CMD_FLUSH_ALL] = b"flush_all"
COMMAND_WORDS[<int>CMD_VERSION] = b"version"
COMMAND_WORDS[<int>CMD_VERBOSITY] = b"verbosity"
COMMAND_WORDS[<int>CMD_STATS] = b"stats"
COMMAND_WORDS[<int>CMD_QUIT] = b"quit"
COMMAND_WORDS[<int>CMD_META_GET] = b"mg"
COMMAND_WORDS[<int>CMD_META_SET] = b"ms"
COMMAND_WORDS[<int>CMD_META_DELETE] = b"md"
COMMAND_WORDS[<int>CMD_META_ARITHMETIC] = b"ma"
COMMAND_WORDS[<int>CMD_META_NOOP] = b"mn"
COMMAND_WORDS[<int>CMD_META_DEBUG] = b"me"

cdef size_t COMMAND_SIZES[COMMAND_COUNT]
for _index in range(COMMAND_COUNT):
    COMMAND_SIZES[_index] = len(<bytes>COMMAND_WORDS[_index])
COMMAND_NAMES = tuple([(<bytes>COMMAND_WORDS[_index]).decode() for _index in range(COMMAND_COUNT)])


cdef const char* error_text(int error, size_t* size) noexcept nogil:
    size[0] = ERROR_SIZES[error]
    return ERROR_TEXTS[error]


cdef Limits default_limits() noexcept nogil:
    cdef Limits limits
    limits.value_max = 1 << 20
    limits.line_max = 2048
    limits.get_line_max = 1 << 20
    return limits


cdef bint key_is_valid(const uint8_t* key, size_t size) noexcept nogil:
    cdef size_t i
    cdef uint8_t bad = 0
    if size - 1 >= KEY_MAX:     # 0 wraps around
        return False
    for i in range(size):
        bad |= (key[i] <= 0x20) | (key[i] == 0x7F)
    return not bad


cdef inline bint word_is(const Word* word, const char* text, size_t size) noexcept nogil:
    return word.size == size and memcmp(word.start, text, size) == 0


cdef bint read_u64(const uint8_t* at, size_t size, uint64_t* number, bint* tidy) noexcept nogil:
    """Plain decimal digits without sign; `tidy` falls when there are leading zeros."""
    cdef uint64_t value = 0
    cdef uint8_t digit
    cdef size_t i
    if size == 0:
        return False
    for i in range(size):
        digit = at[i] - 48
        if digit > 9 or value > 1844674407370955161ULL or (value == 1844674407370955161ULL and digit > 5):
            return False
        value = value * 10 + digit
    if size > 1 and at[0] == 48:
        tidy[0] = False
    number[0] = value
    return True


cdef bint read_i64(const uint8_t* at, size_t size, int64_t* number, bint* tidy) noexcept nogil:
    cdef uint64_t value
    cdef bint negative = size > 0 and at[0] == 45
    if not read_u64(at + negative, size - negative, &value, tidy) or value > 9223372036854775807ULL:
        return False
    if negative and value == 0:
        tidy[0] = False
    number[0] = -<int64_t>value if negative else <int64_t>value
    return True


cdef void split_line(Line* line) noexcept nogil:
    cdef const uint8_t* at = line.start
    cdef const uint8_t* start
    line.count = 0
    while at < line.end:
        if at[0] == 32:
            line.tidy = False
            at += 1
            continue
        start = at
        while at < line.end and at[0] != 32:
            at += 1
        if line.count < WORDS_MAX:
            line.words[line.count].start = start
            line.words[line.count].size = at - start
        line.count += 1
        if at < line.end:
            at += 1
            if at == line.end:
                line.tidy = False


cdef int find_command(const uint8_t* word, size_t size) noexcept nogil:
    cdef int command
    for command in range(COMMAND_COUNT):
        if COMMAND_SIZES[<int>command] == size and memcmp(COMMAND_WORDS[command], word, size) == 0:
            return command
    return -1


cdef inline int refuse(RequestView* view, int error) noexcept nogil:
    view.error = error
    return PARSED_BAD


cdef inline int more(RequestView* view, uint64_t size) noexcept nogil:
    view.size = size
    return PARSED_MORE


cdef bint is_foreign(const uint8_t* data, size_t size) noexcept nogil:
    """Binary memcached, TLS, RESP and HTTP, as far as the first bytes tell."""
    if data[0] == 0x80 or data[0] == 0x81 or data[0] == 0x16:
        return True
    if size >= 2 and data[0] == 42 and 48 <= data[1] <= 57:
        return True
    return size >= 5 and (memcmp(data, b"GET /", 5) == 0 or memcmp(data, b"POST ", 5) == 0
                          or memcmp(data, b"HEAD ", 5) == 0 or memcmp(data, b"PUT /", 5) == 0)


cdef uint32_t request_next_key(const uint8_t* data, uint32_t offset, uint32_t keys_end,
                               uint32_t* key_offset, uint32_t* key_size) noexcept nogil:
    while offset < keys_end and data[offset] == 32:
        offset += 1
    if offset >= keys_end:
        return 0
    key_offset[0] = offset
    while offset < keys_end and data[offset] != 32:
        offset += 1
    key_size[0] = offset - key_offset[0]
    return offset


cdef int parse_get(const uint8_t* data, Line* line, RequestView* view) noexcept nogil:
    cdef uint32_t at = COMMAND_SIZES[view.command]
    cdef uint32_t end = line.end - line.start
    cdef uint32_t key_at = 0
    cdef uint32_t key_size = 0
    cdef uint32_t next_at
    cdef bint bad_time = False
    if view.command == CMD_GAT or view.command == CMD_GATS:
        next_at = request_next_key(data, at, end, &key_at, &key_size)
        if next_at == 0:
            return refuse(view, ERROR_FORMAT)
        line.tidy &= key_at == at + 1
        bad_time = not read_i64(data + key_at, key_size, &view.exptime, &line.tidy) or (
            view.exptime != <int>view.exptime)
        at = next_at
    while True:
        next_at = request_next_key(data, at, end, &key_at, &key_size)
        if next_at == 0:
            break
        line.tidy &= key_at == at + 1
        if bad_time:
            return refuse(view, ERROR_EXPTIME)
        if not key_is_valid(data + key_at, key_size):
            return refuse(view, ERROR_FORMAT)
        if view.key_count == 0:
            view.key_offset = key_at
            view.key_size = key_size
        view.key_count += 1
        at = next_at
    if view.key_count == 0:
        return refuse(view, ERROR_FORMAT)
    view.keys_end = at
    if view.command == CMD_GETS or view.command == CMD_GATS:
        view.flags |= REQ_WANTS_CAS
    if line.tidy and at == end:
        view.flags |= REQ_CANONICAL
    return PARSED_OK


cdef void take_key(const uint8_t* data, const Word* word, RequestView* view) noexcept nogil:
    view.key_offset = word.start - data
    view.key_size = word.size
    view.keys_end = view.key_offset + view.key_size
    view.key_count = 1


cdef int take_value(const uint8_t* data, size_t size, const Limits* limits, int error,
                    RequestView* view) noexcept nogil:
    """Checks and covers the data block; a refused one is covered whether or not it is here."""
    view.value_offset = view.line_size
    view.size = view.line_size + view.value_size + 2
    if error:
        return refuse(view, error)
    if view.value_size > limits.value_max:
        return refuse(view, ERROR_TOO_LARGE)
    if size < view.size:
        return PARSED_MORE
    if data[view.size - 2] != 13 or data[view.size - 1] != 10:
        return refuse(view, ERROR_CHUNK)
    return PARSED_OK


cdef int parse_store(const uint8_t* data, size_t size, const Limits* limits, Line* line,
                     RequestView* view) noexcept nogil:
    cdef int fixed = 6 if view.command == CMD_CAS else 5
    cdef int error = 0
    cdef int parsed
    cdef uint64_t flags = 0
    if line.count < 5 or not read_u64(line.words[4].start, line.words[4].size, &view.value_size, &line.tidy) or (
            view.value_size > DATA_MAX):
        return refuse(view, ERROR_FORMAT)
    take_key(data, &line.words[1], view)
    if (line.count < fixed
            or not key_is_valid(line.words[1].start, line.words[1].size)
            or not read_u64(line.words[2].start, line.words[2].size, &flags, &line.tidy)
            or flags > 0xFFFFFFFFU
            or not read_i64(line.words[3].start, line.words[3].size, &view.exptime, &line.tidy)
            or (fixed == 6 and not read_u64(line.words[5].start, line.words[5].size, &view.number, &line.tidy))):
        error = ERROR_FORMAT
    view.client_flags = <uint32_t>flags
    parsed = take_value(data, size, limits, error, view)
    if parsed == PARSED_BAD and view.flags & REQ_NOREPLY and not error:
        view.error = ERROR_NONE
    if line.tidy and line.count == fixed:
        view.flags |= REQ_CANONICAL
    return parsed


cdef int parse_keyed(const uint8_t* data, Line* line, RequestView* view) noexcept nogil:
    """delete, incr, decr, touch."""
    cdef int fixed = 2 if view.command == CMD_DELETE else 3
    if line.count < fixed or not key_is_valid(line.words[1].start, line.words[1].size):
        return refuse(view, ERROR_FORMAT)
    take_key(data, &line.words[1], view)
    if view.command == CMD_INCR or view.command == CMD_DECR:
        if not read_u64(line.words[2].start, line.words[2].size, &view.number, &line.tidy):
            return refuse(view, ERROR_NONE if view.flags & REQ_NOREPLY else ERROR_DELTA)
    elif view.command == CMD_TOUCH:
        if not read_i64(line.words[2].start, line.words[2].size, &view.exptime, &line.tidy) or (
                view.exptime != <int>view.exptime):
            return refuse(view, ERROR_NONE if view.flags & REQ_NOREPLY else ERROR_EXPTIME)
    if line.tidy and line.count == fixed:
        view.flags |= REQ_CANONICAL
    return PARSED_OK


cdef int parse_plain(const uint8_t* data, Line* line, RequestView* view) noexcept nogil:
    """flush_all, version, verbosity, stats, quit."""
    cdef bint silent = view.flags & REQ_NOREPLY
    cdef int fixed = 1
    view.flags_offset = line.words[1].start - data if line.count > 1 else <uint32_t>(line.end - data)
    view.flags_end = line.end - data
    if view.command == CMD_VERBOSITY:
        if line.count < 2 or not read_u64(line.words[1].start, line.words[1].size, &view.number, &line.tidy):
            return refuse(view, ERROR_NONE if silent else ERROR_FORMAT)
        fixed = 2
    elif view.command == CMD_FLUSH_ALL and line.count > 1 and not (silent and line.count == 2):
        if not read_i64(line.words[1].start, line.words[1].size, &view.exptime, &line.tidy) or (
                view.exptime != <int>view.exptime):
            return refuse(view, ERROR_NONE if silent else ERROR_EXPTIME)
        fixed = 2
    elif view.command == CMD_STATS:
        fixed = line.count
    if line.tidy and line.count == fixed:
        view.flags |= REQ_CANONICAL
    return PARSED_OK


cdef bint is_base64(const uint8_t* at, size_t size) noexcept nogil:
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


cdef uint8_t set_mode(uint8_t letter) noexcept nogil:
    letter |= 32
    return letter if memchr(b"earps", letter, 5) != NULL else 0


cdef uint8_t arithmetic_mode(uint8_t letter) noexcept nogil:
    if letter == 43:
        return 105
    if letter == 45:
        return 100
    letter |= 32
    return letter if letter == 105 or letter == 100 else 0


cdef int take_flag(const uint8_t* data, const Word* flag, RequestView* view) noexcept nogil:
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
        view.meta_mode = set_mode(token[0]) if size else 0
        if not view.meta_mode:
            return ERROR_MODE_SET
    elif letter == 77 and arithmetic:
        view.meta_mode = arithmetic_mode(token[0]) if size else 0
        if not view.meta_mode:
            return ERROR_MODE_ARITHMETIC
    return ERROR_NONE


cdef int take_flags(const uint8_t* data, Line* line, RequestView* view, bint* framing) noexcept nogil:
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
            this_error = take_flag(data, &flag, view)
        seen |= bit
        if not error:
            error = this_error
    if not error and view.flags & REQ_BASE64 and not is_base64(data + view.key_offset, view.key_size):
        error = ERROR_KEY_CODE
    return error


cdef int parse_meta(const uint8_t* data, size_t size, const Limits* limits, Line* line,
                    RequestView* view) noexcept nogil:
    cdef int fixed = 3 if view.command == CMD_META_SET else 2
    cdef int error = ERROR_NONE
    cdef int parsed = PARSED_OK
    cdef bint framing = False
    cdef int flag_error
    if view.command == CMD_META_NOOP:
        if line.tidy and line.count == 1:
            view.flags |= REQ_CANONICAL
        return PARSED_OK
    if line.count < fixed:
        return refuse(view, ERROR_FORMAT)
    take_key(data, &line.words[1], view)
    if fixed == 3 and (not read_u64(line.words[2].start, line.words[2].size, &view.value_size, &line.tidy)
                       or view.value_size > DATA_MAX):
        return refuse(view, ERROR_FORMAT)
    if not key_is_valid(line.words[1].start, line.words[1].size):
        error = ERROR_FLAG_EITHER if view.command == CMD_META_ARITHMETIC else ERROR_FORMAT
    view.flags_end = line.end - data
    view.flags_offset = line.words[fixed].start - data if line.count > fixed else view.flags_end
    flag_error = take_flags(data, line, view, &framing)
    if not error:
        error = flag_error
    if fixed == 3 and not framing:
        parsed = take_value(data, size, limits, error, view)
    elif error:
        parsed = refuse(view, error)
    if line.tidy:
        view.flags |= REQ_CANONICAL
    return parsed


cdef int parse_line(const uint8_t* data, size_t size, const Limits* limits, Line* line,
                    RequestView* view) noexcept nogil:
    cdef const uint8_t* gap = <const uint8_t*>memchr(data, 32, line.end - data)
    cdef int command = find_command(data, (gap if gap != NULL else line.end) - data)
    if command < 0:
        return refuse(view, ERROR_FORMAT if line.end - data < 2 else ERROR_UNKNOWN)
    view.command = command
    if command <= CMD_GATS:
        return parse_get(data, line, view)
    split_line(line)
    if command >= CMD_META_GET:
        return parse_meta(data, size, limits, line, view)
    if 1 < line.count <= WORDS_MAX and word_is(&line.words[line.count - 1], b"noreply", 7):
        if line.count > 2 or command == CMD_FLUSH_ALL or command == CMD_VERBOSITY:
            view.flags |= REQ_NOREPLY
    if command <= CMD_CAS:
        return parse_store(data, size, limits, line, view)
    if command <= CMD_TOUCH:
        return parse_keyed(data, line, view)
    return parse_plain(data, line, view)


cdef int request_parse(const uint8_t* data, size_t size, const Limits* limits, bint first,
                       RequestView* view) noexcept nogil:
    cdef Line line
    cdef const uint8_t* newline
    cdef size_t line_max
    memset(view, 0, sizeof(RequestView))
    if size == 0:
        return more(view, 1)
    if first and is_foreign(data, size):
        return PARSED_CLOSE
    line_max = limits.line_max
    if data[0] == 103 and size > 3 and data[1] in (97, 101) and data[2] == 116:     # get, gat
        line_max = limits.get_line_max
    newline = <const uint8_t*>memchr(data, 10, size if size < line_max else line_max)
    if newline == NULL:
        if size < line_max:
            return more(view, size + 1)
        view.error = ERROR_LINE_LONG
        return PARSED_CLOSE
    view.line_size = newline - data + 1
    view.size = view.line_size
    line.start = data
    line.end = newline
    line.tidy = newline > data and (newline - 1)[0] == 13
    if line.tidy:
        line.end -= 1
    return parse_line(data, size, limits, &line, view)


cdef inline int bad_reply(ReplyView* view) noexcept nogil:
    view.error = ERROR_FORMAT
    return PARSED_CLOSE


cdef int reply_block(const uint8_t* data, size_t size, uint64_t value_max, ReplyView* view) noexcept nogil:
    if view.value_size > value_max:
        view.error = ERROR_TOO_LARGE
        return PARSED_CLOSE
    view.value_offset = view.line_size
    view.size = view.line_size + view.value_size + 2
    if size < view.size:
        return PARSED_MORE
    if data[view.size - 2] != 13 or data[view.size - 1] != 10:
        view.error = ERROR_CHUNK
        return PARSED_CLOSE
    return PARSED_OK


cdef inline const uint8_t* reply_number(const uint8_t* at, const uint8_t* end, uint64_t* number) noexcept nogil:
    """Digits up to a space or the end; NULL when there are none, or too many."""
    cdef const uint8_t* start = at
    cdef bint tidy
    while at < end and at[0] != 32:
        at += 1
    return at if read_u64(start, at - start, number, &tidy) else NULL


cdef int reply_value(const uint8_t* data, const uint8_t* end, size_t size, uint64_t value_max,
                     ReplyView* view) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>memchr(data + 6, 32, end - data - 6)
    cdef uint64_t flags = 0
    if at == NULL:
        return bad_reply(view)
    view.kind = REPLY_VALUE
    view.key_offset = 6
    view.key_size = at - data - 6
    if not key_is_valid(data + 6, view.key_size):
        return bad_reply(view)
    at = reply_number(at + 1, end, &flags)
    if at == NULL or at >= end or flags > 0xFFFFFFFFU:
        return bad_reply(view)
    view.client_flags = <uint32_t>flags
    at = reply_number(at + 1, end, &view.value_size)
    if at == NULL:
        return bad_reply(view)
    if at < end:
        view.has_cas = 1
        at = reply_number(at + 1, end, &view.number)
        if at != end:
            return bad_reply(view)
    return reply_block(data, size, value_max, view)


cdef int reply_flags(const uint8_t* data, uint32_t at, uint32_t end, ReplyView* view) noexcept nogil:
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    cdef uint64_t number = 0
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
                return bad_reply(view)
            view.opaque_offset = start + 1
            view.opaque_size = size - 1
        elif data[start] == 99:
            if not read_u64(data + start + 1, size - 1, &view.number, &tidy):
                return bad_reply(view)
            view.has_cas = 1
        elif data[start] == 102:
            if not read_u64(data + start + 1, size - 1, &number, &tidy) or number > 0xFFFFFFFFU:
                return bad_reply(view)
            view.client_flags = <uint32_t>number


cdef int meta_kind(const uint8_t* data) noexcept nogil:
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


cdef int reply_meta(const uint8_t* data, const uint8_t* end, size_t size, uint64_t value_max,
                    ReplyView* view) noexcept nogil:
    cdef const uint8_t* at = data + 2
    cdef uint32_t start = 0
    if view.kind == REPLY_META_NOOP:
        return PARSED_OK if at == end else bad_reply(view)
    if view.kind == REPLY_META_DEBUG:
        if request_next_key(data, 2, end - data, &view.key_offset, &view.key_size) == 0:
            return bad_reply(view)
        view.flags_offset = view.key_offset + view.key_size
        view.flags_end = end - data
        return PARSED_OK
    if view.kind == REPLY_META_VALUE:
        at = reply_number(at + 1, end, &view.value_size) if at < end else NULL
        if at == NULL:
            return bad_reply(view)
    start = at - data
    if at < end:
        start += 1
    if reply_flags(data, start, end - data, view) != PARSED_OK:
        return PARSED_CLOSE
    return reply_block(data, size, value_max, view) if view.kind == REPLY_META_VALUE else PARSED_OK


cdef inline bint begins(const uint8_t* data, size_t size, const char* text, size_t text_size) noexcept nogil:
    return size >= text_size and memcmp(data, text, text_size) == 0


cdef inline bint equals(const uint8_t* data, size_t size, const char* text, size_t text_size) noexcept nogil:
    return size == text_size and memcmp(data, text, text_size) == 0


cdef int reply_kind(const uint8_t* data, size_t size) noexcept nogil:
    """Kind of a line that is neither VALUE, meta nor a number; -1 when it is none."""
    if equals(data, size, b"STORED", 6):
        return REPLY_STORED
    if equals(data, size, b"NOT_STORED", 10):
        return REPLY_NOT_STORED
    if equals(data, size, b"EXISTS", 6):
        return REPLY_EXISTS
    if equals(data, size, b"NOT_FOUND", 9):
        return REPLY_NOT_FOUND
    if equals(data, size, b"DELETED", 7):
        return REPLY_DELETED
    if equals(data, size, b"TOUCHED", 7):
        return REPLY_TOUCHED
    if equals(data, size, b"OK", 2):
        return REPLY_OK
    if equals(data, size, b"RESET", 5):
        return REPLY_RESET
    if equals(data, size, b"ERROR", 5):
        return REPLY_ERROR
    if begins(data, size, b"STAT ", 5):
        return REPLY_STAT
    if begins(data, size, b"VERSION ", 8):
        return REPLY_VERSION
    if begins(data, size, b"CLIENT_ERROR", 12):
        return REPLY_CLIENT_ERROR
    if begins(data, size, b"SERVER_ERROR", 12):
        return REPLY_SERVER_ERROR
    if begins(data, size, b"BUSY", 4):
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
        return bad_reply(view)
    view.line_size = newline - data + 1
    view.size = view.line_size
    end = newline - 1
    line = end - data
    if begins(data, line, b"VALUE ", 6):
        return reply_value(data, end, size, value_max, view)
    if equals(data, line, b"END", 3):
        view.kind = REPLY_END
        return PARSED_OK
    if line and 48 <= data[0] <= 57:
        view.kind = REPLY_NUMBER
        # decr pads the shortened number with spaces inside the item, never in the reply
        return PARSED_OK if reply_number(data, end, &view.number) == end else bad_reply(view)
    kind = meta_kind(data) if line == 2 or (line > 2 and data[2] == 32) else -1
    if kind >= 0:
        view.kind = kind
        return reply_meta(data, end, size, value_max, view)
    kind = reply_kind(data, line)
    if kind < 0:
        return bad_reply(view)
    view.kind = kind
    return PARSED_OK


cdef inline uint8_t* put(uint8_t* out, const void* text, size_t size) noexcept nogil:
    memcpy(out, text, size)
    return out + size


cdef uint8_t* put_number(uint8_t* out, uint64_t number) noexcept nogil:
    cdef uint8_t digits[20]
    cdef int at = 20
    out[0] = 32
    while True:
        at -= 1
        digits[at] = 48 + number % 10
        number //= 10
        if number == 0:
            return put(out + 1, &digits[at], 20 - at)


cdef uint8_t* put_signed(uint8_t* out, int64_t number) noexcept nogil:
    cdef uint8_t* end
    if number >= 0:
        return put_number(out, number)
    end = put_number(out + 1, <uint64_t>0 - <uint64_t>number)
    out[0] = 32
    out[1] = 45
    return end


cdef uint8_t* put_head(uint8_t* out, int command, const uint8_t* key, size_t key_size) noexcept nogil:
    out = put(out, COMMAND_WORDS[command], COMMAND_SIZES[<int>command])
    out[0] = 32
    return put(out + 1, key, key_size)


cdef size_t encode_get(uint8_t* out, const uint8_t* key, size_t key_size, bint with_cas) noexcept nogil:
    return put(put_head(out, CMD_GETS if with_cas else CMD_GET, key, key_size), b"\r\n", 2) - out


cdef size_t encode_store(uint8_t* out, int command, const uint8_t* key, size_t key_size, uint32_t client_flags,
                         int64_t exptime, uint64_t value_size, uint64_t unique) noexcept nogil:
    cdef uint8_t* at = put_number(put_head(out, command, key, key_size), client_flags)
    at = put_number(put_signed(at, exptime), value_size)
    if command == CMD_CAS:
        at = put_number(at, unique)
    return put(at, b"\r\n", 2) - out


cdef size_t encode_delete(uint8_t* out, const uint8_t* key, size_t key_size) noexcept nogil:
    return put(put_head(out, CMD_DELETE, key, key_size), b"\r\n", 2) - out


cdef size_t encode_arithmetic(uint8_t* out, int command, const uint8_t* key, size_t key_size,
                              uint64_t delta) noexcept nogil:
    return put(put_number(put_head(out, command, key, key_size), delta), b"\r\n", 2) - out


cdef size_t encode_touch(uint8_t* out, const uint8_t* key, size_t key_size, int64_t exptime) noexcept nogil:
    return put(put_signed(put_head(out, CMD_TOUCH, key, key_size), exptime), b"\r\n", 2) - out


class _NeedData:
    """The sentinel NEED_DATA: no whole message is there yet."""

    __slots__ = ()

    def __repr__(self):
        return "NEED_DATA"


NEED_DATA = _NeedData()
REPLY_NAMES = (
    "VALUE", "END", "STORED", "NOT_STORED", "EXISTS", "NOT_FOUND", "DELETED", "TOUCHED", "OK", "NUMBER", "STAT",
    "VERSION", "ERROR", "CLIENT_ERROR", "SERVER_ERROR", "VA", "HD", "EN", "NF", "NS", "EX", "MN", "ME", "RESET",
    "BUSY",
)


cdef Limits limits_of(value_max, line_max, get_line_max):
    cdef Limits limits
    limits.value_max = value_max
    limits.line_max = line_max
    limits.get_line_max = get_line_max
    return limits


@cython.final
@cython.freelist(64)
cdef class Request:
    """One whole request. `raw` holds its bytes, line and data block."""

    cdef RequestView view
    cdef readonly bytes raw

    @property
    def command(self):
        return COMMAND_NAMES[self.view.command]

    @property
    def key(self):
        return self.raw[self.view.key_offset:self.view.key_offset + self.view.key_size]

    @property
    def keys(self):
        return self.raw[self.view.key_offset:self.view.keys_end].split()

    @property
    def value(self):
        if not self.view.value_offset:
            return None
        return self.raw[self.view.value_offset:self.view.value_offset + self.view.value_size]

    @property
    def flags(self):
        return self.view.client_flags

    @property
    def exptime(self):
        return self.view.exptime

    @property
    def number(self):
        return self.view.number

    @property
    def noreply(self):
        return bool(self.view.flags & REQ_NOREPLY)

    @property
    def quiet(self):
        return bool(self.view.flags & REQ_QUIET)

    @property
    def canonical(self):
        return bool(self.view.flags & REQ_CANONICAL)

    @property
    def opaque(self):
        return self.raw[self.view.opaque_offset:self.view.opaque_offset + self.view.opaque_size]

    @property
    def meta_flags(self):
        return self.raw[self.view.flags_offset:self.view.flags_end].split()


@cython.final
@cython.freelist(64)
cdef class Refusal:
    """A refused request: answer `reply` (may be empty), and hang up if `close`."""

    cdef readonly bytes reply
    cdef readonly bint close


@cython.final
@cython.freelist(64)
cdef class Reply:
    """One reply line with its data block; `raw` holds the bytes."""

    cdef ReplyView view
    cdef readonly bytes raw

    @property
    def kind(self):
        return REPLY_NAMES[self.view.kind]

    @property
    def key(self):
        return self.raw[self.view.key_offset:self.view.key_offset + self.view.key_size]

    @property
    def value(self):
        if not self.view.value_offset:
            return None
        return self.raw[self.view.value_offset:self.view.value_offset + self.view.value_size]

    @property
    def flags(self):
        return self.view.client_flags

    @property
    def number(self):
        return self.view.number

    @property
    def cas(self):
        return self.view.number if self.view.has_cas else None

    @property
    def opaque(self):
        return self.raw[self.view.opaque_offset:self.view.opaque_offset + self.view.opaque_size]


cdef class _Feed:
    """Bytes fed and not yet consumed, those to be dropped, and the size worth parsing again at."""

    cdef bytearray held
    cdef size_t at
    cdef uint64_t drop
    cdef uint64_t wanted

    def __cinit__(self):
        self.held = bytearray()

    def feed(self, data):
        """Adds bytes behind those held."""
        if self.at:
            del self.held[:self.at]
            self.at = 0
        self.held += data

    cdef bint ready(self):
        cdef uint64_t here = len(self.held) - self.at
        cdef uint64_t dropped = here if here < self.drop else self.drop
        self.at += dropped
        self.drop -= dropped
        return here - dropped > 0 and here - dropped >= self.wanted

    cdef const uint8_t* data(self):
        return <const uint8_t*><char*>self.held + self.at

    cdef bytes take(self, uint64_t size):
        cdef bytes raw = (<char*>self.data())[:size]
        self.at += size
        self.wanted = 0
        return raw


cdef class RequestParser(_Feed):
    """Turns a client's bytes into Request and Refusal objects. Limits are in bytes."""

    cdef Limits limits
    cdef bint first
    cdef bint closed

    def __init__(self, value_max=1 << 20, line_max=2048, get_line_max=1 << 20):
        self.limits = limits_of(value_max, line_max, get_line_max)
        self.first = True

    def next_message(self):
        """The next Request or Refusal, or NEED_DATA; always NEED_DATA behind a Refusal that closes."""
        cdef Request request
        cdef Refusal refusal
        cdef RequestView view
        cdef size_t size
        cdef const char* text
        cdef int parsed
        if self.closed or not self.ready():
            return NEED_DATA
        parsed = request_parse(self.data(), len(self.held) - self.at, &self.limits, self.first, &view)
        if parsed == PARSED_MORE:
            self.wanted = view.size
            return NEED_DATA
        self.first = False
        if parsed == PARSED_OK:
            request = Request.__new__(Request)
            request.view = view
            request.raw = self.take(view.size)
            return request
        refusal = Refusal.__new__(Refusal)
        text = error_text(view.error, &size)
        refusal.reply = text[:size]
        refusal.close = self.closed = parsed == PARSED_CLOSE
        self.drop = view.size
        self.wanted = 0
        return refusal


cdef class ReplyParser(_Feed):
    """Turns a server's bytes into Reply objects. `value_max`, in bytes, caps a data block."""

    cdef uint64_t value_max

    def __init__(self, value_max=1 << 20):
        self.value_max = value_max

    def next_message(self):
        """The next Reply, or NEED_DATA. Raises RemoteProtocolError on anything that is no reply."""
        cdef Reply reply
        cdef ReplyView view
        cdef int parsed
        if not self.ready():
            return NEED_DATA
        parsed = reply_parse(self.data(), len(self.held) - self.at, self.value_max, &view)
        if parsed == PARSED_MORE:
            self.wanted = view.size
            return NEED_DATA
        if parsed != PARSED_OK:
            shown = bytes(self.held[self.at:self.at + 60])
            raise RemoteProtocolError(f"the server's bytes are no reply: {shown!r}")
        reply = Reply.__new__(Reply)
        reply.view = view
        reply.raw = self.take(view.size)
        return reply


def count_requests(const uint8_t[::1] data not None):
    """Whole requests at the start of the bytes; refused ones end the count."""
    cdef Limits limits = default_limits()
    cdef RequestView view
    cdef size_t at = 0
    cdef size_t count = 0
    while at < <size_t>data.shape[0]:
        if request_parse(&data[at], data.shape[0] - at, &limits, False, &view) != PARSED_OK:
            break
        at += view.size
        count += 1
    return count


def count_replies(const uint8_t[::1] data not None):
    """Whole replies at the start of the bytes; a bad one ends the count."""
    cdef ReplyView view
    cdef size_t at = 0
    cdef size_t count = 0
    while at < <size_t>data.shape[0]:
        if reply_parse(&data[at], data.shape[0] - at, 1 << 20, &view) != PARSED_OK:
            break
        at += view.size
        count += 1
    return count


def encode_request(str command, bytes key, *, value=b"", flags=0, exptime=0, number=0):
    """The canonical bytes of a request. `number` is the cas token or the delta.

    Raises LocalProtocolError for a bad key and ValueError for a command without an encoder.
    """
    cdef uint8_t out[KEY_MAX + ENCODE_EXTRA]
    cdef const uint8_t* at = key
    cdef size_t size = len(key)
    cdef size_t used
    cdef int code = COMMAND_NAMES.index(command)
    cdef bytes payload = value
    if not key_is_valid(at, size):
        raise LocalProtocolError("a key has 1 to 250 bytes, none a control character or a space")
    if code == CMD_GET or code == CMD_GETS:
        used = encode_get(out, at, size, code == CMD_GETS)
    elif CMD_SET <= code <= CMD_CAS:
        used = encode_store(out, code, at, size, flags, exptime, len(payload), number)
        return (<char*>out)[:used] + payload + b"\r\n"
    elif code == CMD_DELETE:
        used = encode_delete(out, at, size)
    elif code == CMD_INCR or code == CMD_DECR:
        used = encode_arithmetic(out, code, at, size, number)
    elif code == CMD_TOUCH:
        used = encode_touch(out, at, size, exptime)
    else:
        raise ValueError(f"no encoder for {command}")
    return (<char*>out)[:used]
