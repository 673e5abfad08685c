"""The incremental parser of requests.

Its grammar is that of memcached 1.6.45: it accepts what that version executes, refuses the rest with the same
replies, and skips the same number of bytes. docs/differences.md lists where mcroute is stricter on purpose.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memset, strlen

from mcroute._protocol.binary cimport BINARY_HEADER, BINARY_MAGIC, binary_quits, binary_size
from mcroute._protocol.commands cimport command_find, command_is_withheld
from mcroute._protocol.lexing cimport (
    Line, Word, key_end, key_is_valid, read_i64, read_u64, request_next_key, short_number, skip_spaces,
    split_line, word_is,
)
from mcroute._protocol.literals cimport is_digit, text_begins, text_is
from mcroute._protocol.meta_flags cimport meta_flags_take
from mcroute._protocol.refusals cimport (
    ERROR_BINARY, ERROR_CHUNK, ERROR_DELTA, ERROR_EXPTIME, ERROR_FLAG_EITHER, ERROR_FORMAT, ERROR_LINE_LONG,
    ERROR_NONE, ERROR_NOT_OFFERED, ERROR_RESP, ERROR_SSH, ERROR_TLS, ERROR_TOO_LARGE, ERROR_TOO_LARGE_SILENT,
    ERROR_UNKNOWN,
)
from mcroute._protocol.views cimport (
    CMD_CAS, CMD_DECR, CMD_DELETE, CMD_FLUSH_ALL, CMD_GAT, CMD_GATS, CMD_GET, CMD_GETS, CMD_INCR,
    CMD_META_ARITHMETIC, CMD_META_DEBUG, CMD_META_GET, CMD_META_NOOP, CMD_META_SET, CMD_SET, CMD_STATS, CMD_TOUCH,
    CMD_VERBOSITY, CMD_VERSION, KEY_MAX, PARSED_BAD, PARSED_CLOSE, PARSED_MORE, PARSED_OK, REQ_BASE64,
    REQ_CANONICAL, REQ_NOREPLY, REQ_OPEN, REQ_RESUMED, REQ_WANTS_CAS,
)

cdef enum:
    DATA_MAX = 2147483645   # the largest length that memcached reads as one: INT_MAX - 2


cdef Limits default_limits() noexcept nogil:
    cdef Limits limits
    limits.value_max = 1 << 20
    limits.line_max = 2048
    limits.get_line_max = 1 << 20
    limits.flags_max = 0xFFFFFFFFU
    return limits


cdef inline int _refuse(RequestView* view, int error) noexcept nogil:
    view.error = error
    return PARSED_BAD


cdef inline int _more(RequestView* view, uint64_t size) noexcept nogil:
    view.size = size
    return PARSED_MORE


cdef bint _is_foreign(const uint8_t* data, size_t size, RequestView* view) noexcept nogil:
    """TLS, RESP, SSH, the PROXY header, and a byte that only a server of the binary protocol sends."""
    if size >= 2 and data[0] == 0x16 and data[1] == 0x03:
        view.error = ERROR_TLS
    elif size >= 2 and data[0] == c"*" and is_digit(data[1]):
        view.error = ERROR_RESP
    elif text_begins(data, size, b"SSH-"):
        view.error = ERROR_SSH
    return view.error != ERROR_NONE or data[0] == 0x81 or text_begins(data, size, b"PROXY ")


cdef int request_binary(const uint8_t* data, size_t size, RequestView* view) noexcept nogil:
    memset(view, 0, sizeof(RequestView))
    if size > 0 and data[0] != BINARY_MAGIC:
        return PARSED_CLOSE
    if size < BINARY_HEADER:
        return _more(view, BINARY_HEADER)
    view.size = binary_size(data)
    view.error = ERROR_BINARY
    return PARSED_CLOSE if binary_quits(data) else PARSED_BAD


cdef int _parse_get(const uint8_t* data, uint32_t at, Line* line, RequestView* view) noexcept nogil:
    """The keys, from `at` on, just behind the command word."""
    cdef uint32_t end = line.end - line.start
    cdef uint32_t key_at = 0
    cdef uint32_t key_size = 0
    cdef uint32_t next_at
    cdef bint bad_time = False
    if view.command == CMD_GAT or view.command == CMD_GATS:
        next_at = request_next_key(data, at, end, &key_at, &key_size)
        if next_at == 0:
            return _refuse(view, ERROR_FORMAT)
        line.tidy &= key_at == at + 1
        bad_time = not read_i64(data + key_at, key_size, &view.exptime, &line.tidy) or (
            view.exptime != <int>view.exptime)
        at = next_at
    while True:
        key_at = skip_spaces(data, at, end)
        if key_at == end:
            break
        line.tidy &= key_at == at + 1
        if bad_time:
            return _refuse(view, ERROR_EXPTIME)
        at = key_end(data + key_at, data + end) - data
        key_size = at - key_at
        if key_size - 1 >= KEY_MAX or (at < end and data[at] != c" "):
            return _refuse(view, ERROR_FORMAT)
        if view.key_count == 0:
            view.key_offset = key_at
            view.key_size = key_size
        view.key_count += 1
    if view.key_count == 0:
        return _refuse(view, ERROR_FORMAT)
    view.keys_end = at
    if view.command == CMD_GETS or view.command == CMD_GATS:
        view.flags |= REQ_WANTS_CAS
    if line.tidy and at == end:
        view.flags |= REQ_CANONICAL
    return PARSED_OK


cdef void _take_key(const uint8_t* data, const Word* word, RequestView* view) noexcept nogil:
    view.key_offset = word.start - data
    view.key_size = word.size
    view.keys_end = view.key_offset + view.key_size
    view.key_count = 1


cdef int _take_value(const uint8_t* data, size_t size, const Limits* limits, int error,
                     RequestView* view) noexcept nogil:
    """Checks and covers the data block; a refused one is covered whether or not it is here."""
    view.value_offset = view.line_size
    view.size = view.line_size + view.value_size + 2
    if error:
        return _refuse(view, error)
    if view.value_size > limits.value_max:
        return _refuse(view, ERROR_TOO_LARGE)
    if size < view.size:
        return PARSED_MORE
    if data[view.size - 2] != c"\r" or data[view.size - 1] != c"\n":
        return _refuse(view, ERROR_CHUNK)
    return PARSED_OK


cdef int _parse_store(const uint8_t* data, size_t size, const Limits* limits, Line* line,
                      RequestView* view) noexcept nogil:
    cdef int fixed = 6 if view.command == CMD_CAS else 5
    cdef int error = 0
    cdef int parsed
    cdef uint64_t flags = 0
    if line.count < 5 or not read_u64(line.words[4].start, line.words[4].size, &view.value_size, &line.tidy) or (
            view.value_size > DATA_MAX):
        return _refuse(view, ERROR_FORMAT)
    _take_key(data, &line.words[1], view)
    if (line.count < fixed
            or not key_is_valid(line.words[1].start, line.words[1].size)
            or not read_u64(line.words[2].start, line.words[2].size, &flags, &line.tidy)
            or flags > limits.flags_max
            or not read_i64(line.words[3].start, line.words[3].size, &view.exptime, &line.tidy)
            or (fixed == 6 and not read_u64(line.words[5].start, line.words[5].size, &view.number, &line.tidy))):
        error = ERROR_FORMAT
    view.client_flags = flags
    parsed = _take_value(data, size, limits, error, view)
    if parsed == PARSED_BAD and view.flags & REQ_NOREPLY:
        view.error = ERROR_TOO_LARGE_SILENT if view.error == ERROR_TOO_LARGE else ERROR_NONE
    if line.tidy and line.count == fixed:
        view.flags |= REQ_CANONICAL
    return parsed


cdef inline const uint8_t* _tidy_number(const uint8_t* at, const uint8_t* end, uint64_t* number) noexcept nogil:
    """Behind a space and a short number without leading zeros; NULL if something else is there."""
    cdef const uint8_t* start = at + 1
    if at >= end or at[0] != c" ":
        return NULL
    at = short_number(start, end, number)
    return at if at == start + 1 or (at > start and start[0] != c"0") else NULL


cdef bint _read_store(const uint8_t* data, uint32_t word_size, const Limits* limits, const Line* line,
                      RequestView* view) noexcept nogil:
    """Reads " <key> <flags> <exptime> <bytes>" in one pass, as clients write it.

    False for any other line, also for a bad one: _parse_store reads all of them.
    """
    cdef const uint8_t* key = data + word_size + 1
    cdef const uint8_t* key_stop
    cdef const uint8_t* at
    cdef uint64_t flags = 0
    cdef uint64_t exptime = 0
    cdef uint64_t value_size = 0
    if not line.tidy or key >= line.end:
        return False
    key_stop = key_end(key, line.end)
    # 0 wraps around.
    if <size_t>(key_stop - key) - 1 >= KEY_MAX:
        return False
    at = _tidy_number(key_stop, line.end, &flags)
    if at == NULL or flags > limits.flags_max:
        return False
    at = _tidy_number(at, line.end, &exptime)
    if at == NULL:
        return False
    at = _tidy_number(at, line.end, &value_size)
    if at != line.end or value_size > DATA_MAX:
        return False
    view.key_offset = word_size + 1
    view.key_size = key_stop - key
    view.keys_end = key_stop - data
    view.key_count = 1
    view.client_flags = flags
    view.exptime = <int64_t>exptime
    view.value_size = value_size
    view.flags |= REQ_CANONICAL
    return True


cdef int _parse_keyed(const uint8_t* data, Line* line, RequestView* view) noexcept nogil:
    """delete, incr, decr, touch."""
    cdef int fixed = 2 if view.command == CMD_DELETE else 3
    cdef int error = ERROR_NONE
    if line.count < fixed:
        return _refuse(view, ERROR_FORMAT)
    _take_key(data, &line.words[1], view)
    if not key_is_valid(line.words[1].start, line.words[1].size):
        error = ERROR_FORMAT
    elif view.command == CMD_INCR or view.command == CMD_DECR:
        if not read_u64(line.words[2].start, line.words[2].size, &view.number, &line.tidy):
            error = ERROR_DELTA
    elif view.command == CMD_TOUCH:
        if not read_i64(line.words[2].start, line.words[2].size, &view.exptime, &line.tidy) or (
                view.exptime != <int>view.exptime):
            error = ERROR_EXPTIME
    if error:
        return _refuse(view, ERROR_NONE if view.flags & REQ_NOREPLY else error)
    if line.tidy and line.count == fixed:
        view.flags |= REQ_CANONICAL
    return PARSED_OK


cdef int _parse_plain(const uint8_t* data, Line* line, RequestView* view) noexcept nogil:
    """flush_all, version, verbosity, stats, quit."""
    cdef bint silent = view.flags & REQ_NOREPLY
    cdef int fixed = 1
    view.flags_offset = line.words[1].start - data if line.count > 1 else <uint32_t>(line.end - data)
    view.flags_end = line.end - data
    if view.command == CMD_VERBOSITY:
        if line.count < 2 or not read_u64(line.words[1].start, line.words[1].size, &view.number, &line.tidy) or (
                view.number > 0xFFFFFFFFU):
            return _refuse(view, ERROR_NONE if silent else ERROR_FORMAT)
        fixed = 2
    elif view.command == CMD_FLUSH_ALL and line.count > 1 and not (silent and line.count == 2):
        if not read_i64(line.words[1].start, line.words[1].size, &view.exptime, &line.tidy) or (
                view.exptime != <int>view.exptime):
            return _refuse(view, ERROR_NONE if silent else ERROR_EXPTIME)
        fixed = 2
    elif view.command == CMD_STATS:
        fixed = line.count
    if line.tidy and line.count == fixed:
        view.flags |= REQ_CANONICAL
    return PARSED_OK


cdef int _parse_debug(const uint8_t* data, Line* line, RequestView* view) noexcept nogil:
    """me: memcached looks for a b behind the key, and at nothing else."""
    if not key_is_valid(line.words[1].start, line.words[1].size):
        return _refuse(view, ERROR_FORMAT)
    view.flags_offset = view.keys_end
    view.flags_end = view.keys_end
    if line.count > 2 and word_is(&line.words[2], b"b"):
        view.flags |= REQ_BASE64
        view.flags_offset = line.words[2].start - data
        view.flags_end = view.flags_offset + 1
    if line.tidy and line.count == 2 + (view.flags_end > view.flags_offset):
        view.flags |= REQ_CANONICAL
    return PARSED_OK


cdef int _parse_meta(const uint8_t* data, size_t size, const Limits* limits, Line* line,
                     RequestView* view) noexcept nogil:
    cdef int fixed = 3 if view.command == CMD_META_SET else 2
    cdef int error = ERROR_NONE
    cdef int parsed = PARSED_OK
    if view.command == CMD_META_NOOP:
        if line.tidy and line.count == 1:
            view.flags |= REQ_CANONICAL
        return PARSED_OK
    if line.count < fixed:
        return _refuse(view, ERROR_FORMAT)
    _take_key(data, &line.words[1], view)
    if view.command == CMD_META_DEBUG:
        return _parse_debug(data, line, view)
    if fixed == 3 and (not read_u64(line.words[2].start, line.words[2].size, &view.value_size, &line.tidy)
                       or view.value_size > DATA_MAX):
        return _refuse(view, ERROR_FORMAT)
    view.flags_end = line.end - data
    view.flags_offset = line.words[fixed].start - data if line.count > fixed else view.flags_end
    if not key_is_valid(line.words[1].start, line.words[1].size):
        error = ERROR_FLAG_EITHER if view.command == CMD_META_ARITHMETIC else ERROR_FORMAT
    else:
        error = meta_flags_take(data, line, view)
        if error == ERROR_NONE and view.client_flags > limits.flags_max:
            error = ERROR_FORMAT
    if fixed == 3:
        parsed = _take_value(data, size, limits, error, view)
    elif error:
        parsed = _refuse(view, error)
    if line.tidy:
        view.flags |= REQ_CANONICAL
    return parsed


cdef int _parse_unknown(const uint8_t* data, size_t word_size, Line* line, RequestView* view) noexcept nogil:
    if view.line_size < 4:
        return _refuse(view, ERROR_FORMAT)
    split_line(line)
    if line.count > 1 and text_begins(line.last.start, line.last.size, b"HTTP/"):
        return PARSED_CLOSE
    if line.count > 1 and word_is(&line.last, b"noreply") and not (
            text_is(data, word_size, b"watch") or text_is(data, word_size, b"refresh_certs")):
        return _refuse(view, ERROR_NONE)
    return _refuse(view, ERROR_NOT_OFFERED if command_is_withheld(data, word_size) else ERROR_UNKNOWN)


cdef int _parse_line(const uint8_t* data, size_t size, const Limits* limits, Line* line,
                     RequestView* view) noexcept nogil:
    cdef const uint8_t* gap
    cdef uint32_t word_size = strlen(b"get")
    cdef int command
    # Most requests are gets and sets: they are spared the search.
    if text_begins(data, line.end - data, b"get "):
        command = CMD_GET
    elif text_begins(data, line.end - data, b"set "):
        command = CMD_SET
    else:
        gap = <const uint8_t*>memchr(data, c" ", line.end - data)
        word_size = (gap if gap != NULL else line.end) - data
        command = command_find(data, word_size)
    if command < 0:
        return _parse_unknown(data, word_size, line, view)
    view.command = command
    if command <= CMD_GATS:
        return _parse_get(data, word_size, line, view)
    if command < CMD_CAS and _read_store(data, word_size, limits, line, view):
        return _take_value(data, size, limits, ERROR_NONE, view)
    split_line(line)
    if command >= CMD_META_GET:
        return _parse_meta(data, size, limits, line, view)
    if line.count > 1 and command <= CMD_VERBOSITY and command != CMD_VERSION and (
            word_is(&line.last, b"noreply")):
        view.flags |= REQ_NOREPLY
    if command <= CMD_CAS:
        return _parse_store(data, size, limits, line, view)
    if command <= CMD_TOUCH:
        return _parse_keyed(data, line, view)
    return _parse_plain(data, line, view)


cdef int _refuse_line(const uint8_t* data, bint is_get, RequestView* view) noexcept nogil:
    if is_get:
        view.command = CMD_GET if data[strlen(b"get")] == c" " else CMD_GETS
        view.error = ERROR_LINE_LONG
    return PARSED_CLOSE


cdef int request_resume(const uint8_t* data, size_t size, size_t scanned, const Limits* limits, bint first,
                        RequestView* view) noexcept nogil:
    cdef Line line
    cdef const uint8_t* newline
    cdef size_t line_max
    cdef size_t end = size
    cdef bint is_get
    memset(view, 0, sizeof(RequestView))
    if size == 0:
        return _more(view, 1)
    if first and data[0] == BINARY_MAGIC:
        return request_binary(data, size, view)
    if first and _is_foreign(data, size, view):
        return PARSED_CLOSE
    is_get = text_begins(data, size, b"get ") or text_begins(data, size, b"gets ")
    line_max = limits.get_line_max if is_get else limits.line_max
    if end > line_max + 1:
        end = line_max + 1
    newline = <const uint8_t*>memchr(data + scanned, c"\n", end - scanned) if scanned < end else NULL
    if newline == NULL:
        return _more(view, size + 1) if size <= line_max else _refuse_line(data, is_get, view)
    view.line_size = newline - data + 1
    view.size = view.line_size
    line.start = data
    line.end = newline
    line.tidy = newline > data and (newline - 1)[0] == c"\r"
    if line.tidy:
        line.end -= 1
    return _parse_line(data, size, limits, &line, view)


cdef int request_part(const uint8_t* data, size_t size, size_t scanned, const Limits* limits, int command,
                      bint resumed, RequestView* view) noexcept nogil:
    cdef Line line
    cdef const uint8_t* newline
    cdef uint32_t at = 0
    cdef size_t end = min(size, <size_t>limits.get_line_max + 1)
    memset(view, 0, sizeof(RequestView))
    newline = <const uint8_t*>memchr(data + scanned, c"\n", end - scanned) if scanned < end else NULL
    if newline == NULL and size <= limits.get_line_max:
        return _more(view, size + 1)
    view.command = command
    view.flags = REQ_RESUMED if resumed else 0
    if newline != NULL:
        end = newline - data
        view.size = end + 1
        if end > 0 and data[end - 1] == c"\r":
            end -= 1
    else:
        # Up to the last key that is certainly whole.
        while end > 0 and data[end - 1] != c" ":
            end -= 1
        end = end - 1 if end > 0 else 0
        view.size = end
        view.flags |= REQ_OPEN
    if not resumed:
        at = strlen(b"get") if command == CMD_GET else strlen(b"gets")
    if end < at or view.size == 0:
        # One word as long as that.
        view.size = max(<size_t>view.size, <size_t>1)
        return _refuse(view, ERROR_FORMAT)
    view.line_size = view.size
    line.start = data
    line.end = data + end
    line.tidy = False
    if resumed and skip_spaces(data, at, end) == end:
        return PARSED_OK
    return _parse_get(data, at, &line, view)


cdef int request_parse(const uint8_t* data, size_t size, const Limits* limits, bint first,
                       RequestView* view) noexcept nogil:
    return request_resume(data, size, 0, limits, first, view)
