# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Laws for any bytes: of the parsers, checked in C; of lookups in a ring, made as C callers make them; of the
engine's memory.

Not part of the package: compiled by the replay test, and with sanitizers by `make fuzz`. Each parse sees a heap
block of exactly the announced size, so that a sanitizer catches a read one byte behind it.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from mcroute._engine.engine cimport Engine
from mcroute._protocol cimport (
    BINARY_HEADER, BINARY_REFUSAL_MAX, CMD_CAS, CMD_DECR, CMD_DELETE, CMD_GET, CMD_GETS, CMD_INCR, CMD_SET, CMD_TOUCH,
    COMMAND_COUNT, ENCODE_EXTRA, ERROR_BINARY, ERROR_TEXT_COUNT, KEY_MAX, OPAQUE_MAX, PARSED_BAD, PARSED_CLOSE,
    PARSED_MORE, PARSED_OK, REPLY_KIND_COUNT, REPLY_META_VALUE, REPLY_VALUE, REQ_CANONICAL, REQ_NOREPLY, Limits,
    ReplyView, RequestView, binary_refusal, binary_size, default_limits, encode_arithmetic, encode_delete, encode_get,
    encode_store, encode_touch, error_text, key_is_valid, reply_item, reply_parse, request_binary, request_next_key,
    request_parse,
)
from mcroute._ring cimport Ring, RingTable, ring_owner, ring_owner_each, ring_owners, ring_size, ring_table

cdef enum:
    VALUE_MAX = 4096            # small, so that too large a value is soon found
    GET_LINE_MAX = 4096
    REPLY_LINE_MAX = 8192       # longer ones are out of step
    VALUE_ANNOUNCED_MAX = 1 << 30    # the same of values
    DIGITS_MAX = 10             # of a number, in what is read without the parser
    CUTS = 48                   # prefixes tried of a message, evenly spread

# A refused request's line, and the longest data block that memcached would swallow behind it.
cdef uint64_t SWALLOW_MAX = <uint64_t>2147483647 + 2048 + 2


cdef Limits _limits() noexcept nogil:
    cdef Limits limits = default_limits()
    limits.value_max = VALUE_MAX
    limits.get_line_max = GET_LINE_MAX
    return limits


cdef uint8_t* _copy(const uint8_t* data, size_t size) except NULL:
    cdef uint8_t* block = <uint8_t*>malloc(size if size else 1)
    if block == NULL:
        raise MemoryError
    if size:
        memcpy(block, data, size)
    return block


cdef int _parse_request(const uint8_t* data, size_t size, bint first, RequestView* view) except -1:
    cdef Limits limits = _limits()
    cdef uint8_t* block = _copy(data, size)
    cdef int parsed = request_parse(block, size, &limits, first, view)
    free(block)
    return parsed


cdef int _parse_binary(const uint8_t* data, size_t size, RequestView* view) except -1:
    cdef uint8_t* block = _copy(data, size)
    cdef int parsed = request_binary(block, size, view)
    free(block)
    return parsed


cdef int _parse_reply(const uint8_t* data, size_t size, ReplyView* view) except -1:
    cdef uint8_t* block = _copy(data, size)
    cdef int parsed = reply_parse(block, size, VALUE_MAX, view)
    free(block)
    return parsed


# ---- requests ----

cdef int _check_keys(const uint8_t* data, const RequestView* view) except -1:
    cdef uint32_t at = view.key_offset
    cdef uint32_t offset = 0
    cdef uint32_t size = 0
    cdef uint32_t count = 0
    if view.key_count == 0:
        return 0
    assert view.key_offset + view.key_size <= view.keys_end <= view.line_size
    while True:
        at = request_next_key(data, at, view.keys_end, &offset, &size)
        if at == 0:
            break
        count += 1
        assert offset + size <= view.keys_end
        assert key_is_valid(data + offset, size)
        if count == 1:
            assert offset == view.key_offset and size == view.key_size
    assert count == view.key_count
    return 0


cdef int _check_canonical(const uint8_t* data, const RequestView* view) except -1:
    """A canonical request is the encoder's output, byte for byte."""
    cdef uint8_t[KEY_MAX + ENCODE_EXTRA] line
    cdef const uint8_t* key = data + view.key_offset
    cdef size_t size
    if view.flags & REQ_NOREPLY:
        return 0
    if view.command in (CMD_GET, CMD_GETS) and view.key_count == 1:
        size = encode_get(line, key, view.key_size, view.command == CMD_GETS)
    elif CMD_SET <= view.command <= CMD_CAS:
        size = encode_store(line, view.command, key, view.key_size, view.client_flags, view.exptime,
                            view.value_size, view.number)
    elif view.command == CMD_DELETE:
        size = encode_delete(line, key, view.key_size)
    elif view.command in (CMD_INCR, CMD_DECR):
        size = encode_arithmetic(line, view.command, key, view.key_size, view.number)
    elif view.command == CMD_TOUCH:
        size = encode_touch(line, key, view.key_size, view.exptime)
    else:
        return 0
    assert size <= view.key_size + ENCODE_EXTRA
    assert size == view.line_size and memcmp(line, data, size) == 0
    return 0


cdef int _check_request(const uint8_t* data, const RequestView* view) except -1:
    assert view.command < COMMAND_COUNT
    assert 0 < view.line_size <= view.size
    assert data[view.line_size - 1] == c"\n"
    if view.size > view.line_size:
        assert view.value_offset == view.line_size
        assert view.value_size <= VALUE_MAX
        assert view.size == view.value_offset + view.value_size + 2
        assert data[view.size - 2] == c"\r" and data[view.size - 1] == c"\n"
    assert view.flags_offset <= view.flags_end <= view.line_size
    assert view.opaque_size <= OPAQUE_MAX
    assert view.opaque_offset + view.opaque_size <= view.line_size
    _check_keys(data, view)
    if view.flags & REQ_CANONICAL:
        _check_canonical(data, view)
    return 0


cdef int _check_request_cuts(const uint8_t* data, size_t size, bint first, const RequestView* whole) except -1:
    """A part of a request asks for more, never for more than there is to come."""
    cdef RequestView view
    cdef size_t step = size // CUTS + 1
    cdef size_t cut
    for cut in range(0, size, step):
        memset(&view, 0xA5, sizeof(view))
        assert _parse_request(data, cut, first, &view) == PARSED_MORE
        assert cut < view.size <= size
    memset(&view, 0xA5, sizeof(view))
    assert _parse_request(data, size, first, &view) == PARSED_OK
    assert view.size == size and view.command == whole.command and view.flags == whole.flags
    return 0


cdef int _check_binary(const uint8_t* data, size_t size, const RequestView* view) except -1:
    """Its size is what its header says, which may be more than a line and a value ever have."""
    cdef uint8_t[BINARY_REFUSAL_MAX] refusal
    assert size >= BINARY_HEADER
    assert view.size == binary_size(data)
    assert BINARY_HEADER <= view.size < BINARY_HEADER + (<uint64_t>1 << 32)
    assert binary_refusal(refusal, data) <= BINARY_REFUSAL_MAX
    return 0


def check_requests(const uint8_t[::1] data not None):
    """Reads `data` as the bytes of one client. Returns how many requests it held, refused ones included."""
    cdef RequestView view
    cdef size_t start = 0
    cdef size_t size = data.shape[0]
    cdef size_t text_size
    cdef const uint8_t* at = &data[0] if size else NULL
    cdef int parsed
    cdef int count = 0
    cdef bint is_binary = False     # the client's first request was a binary one
    while start < size:
        memset(&view, 0xA5, sizeof(view))
        if is_binary:
            parsed = _parse_binary(at + start, size - start, &view)
        else:
            parsed = _parse_request(at + start, size - start, start == 0, &view)
        if parsed == PARSED_MORE:
            assert size - start < view.size <= GET_LINE_MAX + VALUE_MAX + 2
            return count
        count += 1
        if view.error == ERROR_BINARY and parsed != PARSED_OK:
            is_binary = True
            _check_binary(at + start, size - start, &view)
            if parsed == PARSED_CLOSE:
                return count
        elif parsed == PARSED_OK:
            assert not is_binary and view.size <= size - start
            _check_request(at + start, &view)
            _check_request_cuts(at + start, view.size, start == 0, &view)
        else:
            assert parsed in (PARSED_BAD, PARSED_CLOSE)
            assert view.error < ERROR_TEXT_COUNT
            assert error_text(view.error, &text_size) != NULL and text_size < 100
            if parsed == PARSED_CLOSE:
                return count
            assert 0 < view.size <= SWALLOW_MAX
        start += <size_t>view.size
    return count


# ---- replies ----

cdef int _check_reply(const uint8_t* data, const ReplyView* view) except -1:
    assert view.kind < REPLY_KIND_COUNT
    assert 0 < view.line_size <= view.size
    assert data[view.line_size - 1] == c"\n"
    if view.kind == REPLY_VALUE or view.kind == REPLY_META_VALUE:
        assert view.value_size <= VALUE_MAX
        assert view.value_offset == view.line_size
        assert view.size == view.value_offset + view.value_size + 2
        assert data[view.size - 2] == c"\r" and data[view.size - 1] == c"\n"
    else:
        assert view.size == view.line_size
    assert view.key_offset + view.key_size <= view.line_size
    assert view.flags_offset <= view.flags_end <= view.line_size
    assert view.opaque_offset + view.opaque_size <= view.line_size
    return 0


cdef int _check_skipped(const uint8_t* data, size_t size, const ReplyView* view) except -1:
    """The line alone shows that a value is too large, and where it ends."""
    cdef ReplyView again
    assert view.kind == REPLY_VALUE or view.kind == REPLY_META_VALUE
    assert 0 < view.line_size <= size and data[view.line_size - 1] == c"\n"
    assert VALUE_MAX < view.value_size <= VALUE_ANNOUNCED_MAX
    assert view.size == view.line_size + view.value_size + 2
    assert view.key_offset + view.key_size <= view.line_size
    assert view.opaque_offset + view.opaque_size <= view.line_size
    memset(&again, 0xA5, sizeof(again))
    assert _parse_reply(data, view.line_size, &again) == PARSED_BAD
    assert again.size == view.size and again.kind == view.kind
    memset(&again, 0xA5, sizeof(again))
    assert _parse_reply(data, view.line_size - 1, &again) == PARSED_MORE
    return 0


cdef int _check_reply_cuts(const uint8_t* data, size_t size, const ReplyView* whole) except -1:
    cdef ReplyView view
    cdef size_t step = size // CUTS + 1
    cdef size_t cut
    for cut in range(0, size, step):
        memset(&view, 0xA5, sizeof(view))
        assert _parse_reply(data, cut, &view) == PARSED_MORE
        assert cut < view.size <= size
    memset(&view, 0xA5, sizeof(view))
    assert _parse_reply(data, size, &view) == PARSED_OK
    assert view.size == size and view.kind == whole.kind
    return 0


cdef size_t _item_by_key(const uint8_t* data, size_t size, const uint8_t* key, size_t key_size) except? 1:
    cdef uint8_t* block = _copy(data, size)
    cdef uint8_t* name = _copy(key, key_size)
    cdef size_t item = reply_item(block, size, name, key_size, VALUE_MAX)
    free(block)
    free(name)
    return item


cdef int _check_item(const uint8_t* data, size_t size, int parsed, const ReplyView* view) except -1:
    """Looking for the item of a key finds what the parser does, if that is an item of that key without more."""
    cdef uint8_t[KEY_MAX] other
    cdef size_t key_size = 0
    cdef size_t item
    while 6 + key_size < size and key_size <= KEY_MAX and data[6 + key_size] > 32:
        key_size += 1
    if size < 6 or not key_is_valid(data + 6, key_size):
        return 0
    item = _item_by_key(data, size, data + 6, key_size)
    if parsed != PARSED_OK or view.kind != REPLY_VALUE or view.has_cas:
        assert item == 0
        return 0
    words = bytes(data[view.key_offset + key_size:view.line_size]).split()
    assert item == view.size or (item == 0 and max(len(word) for word in words) > DIGITS_MAX)
    memcpy(other, data + 6, key_size)
    other[key_size - 1] ^= 1
    assert _item_by_key(data, size, other, key_size) == 0
    assert key_size == 1 or _item_by_key(data, size, data + 6, key_size - 1) == 0
    return 0


def check_replies(const uint8_t[::1] data not None):
    """Reads `data` as the bytes of one server. Returns how many replies it held, up to the first bad one."""
    cdef ReplyView view
    cdef size_t start = 0
    cdef size_t size = data.shape[0]
    cdef const uint8_t* at = &data[0] if size else NULL
    cdef int parsed
    cdef int count = 0
    while start < size:
        memset(&view, 0xA5, sizeof(view))
        parsed = _parse_reply(at + start, size - start, &view)
        _check_item(at + start, size - start, parsed, &view)
        if parsed == PARSED_MORE:
            assert size - start < view.size <= REPLY_LINE_MAX + VALUE_MAX + 2
            return count
        if parsed == PARSED_CLOSE:
            assert view.error < ERROR_TEXT_COUNT
            return count
        if parsed == PARSED_BAD:
            _check_skipped(at + start, size - start, &view)
            start += <size_t>view.size
            count += 1
            continue
        assert parsed == PARSED_OK
        assert view.size <= size - start
        count += 1
        _check_reply(at + start, &view)
        _check_reply_cuts(at + start, view.size, &view)
        start += <size_t>view.size
    return count


# ---- rings ----

cdef uint64_t* _mask_of(const RingTable* table, skip) except? NULL:
    cdef size_t words = (<size_t>ring_size(table) + 63) // 64
    cdef uint64_t* mask
    cdef int server
    if skip is None:
        return NULL
    mask = <uint64_t*>calloc(words, sizeof(uint64_t))
    if mask == NULL:
        raise MemoryError
    for server in skip:
        mask[server // 64] |= <uint64_t>1 << (server % 64)
    return mask


def look_up(Ring ring not None, const uint8_t[::1] key not None, skip, int count):
    """A key's owner, and its first `count` candidates, without those in `skip` (a set, or None)."""
    cdef const RingTable* table = ring_table(ring)
    cdef size_t size = key.shape[0]
    cdef uint8_t* block = _copy(&key[0] if size else NULL, size)
    cdef int* out = <int*>malloc(count * sizeof(int))
    cdef uint64_t* mask = NULL
    cdef const uint8_t* each = block
    cdef int owner, found
    cdef int i = 0
    try:
        if out == NULL:
            raise MemoryError
        mask = _mask_of(table, skip)
        with nogil:
            owner = ring_owner(table, block, size, mask)
            found = ring_owners(table, block, size, mask, count, out)
            ring_owner_each(table, &each, &size, 1, &i)
        assert skip is not None or i == owner
        return owner, [out[i] for i in range(found)]
    finally:
        free(block)
        free(out)
        free(mask)


# ---- the engine ----

def memory_in_use(Engine engine not None):
    """Bytes of the blocks that the engine holds, without those it keeps for reuse."""
    return engine.state.pool.used_bytes


def keep_no_spares(Engine engine not None):
    """Gives blocks back at once, so that a sanitizer sees a use after the last reference."""
    engine.state.pool.spare_limit = 0


def set_limits(Engine engine not None, unsigned int pipeline, unsigned int queue, size_t unsent):
    """Requests in flight a session, expected replies a link, unsent bytes of either."""
    engine.state.pipeline_max = pipeline
    engine.state.queue_max = queue
    engine.state.out_max = unsent
    engine.state.link_out_max = unsent
