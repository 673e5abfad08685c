"""Finding and replacing tokens in requests and replies."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from mcroute._engine.blocks cimport block_new
from mcroute._protocol cimport (
    CMD_CAS, CMD_META_GET, PARSED_OK, REPLY_VALUE, ReplyView, reply_parse, request_next_key,
)

cdef enum:
    DIGITS = 24                 # of 64 bits at most 20


cdef bint _find_flag(
    const uint8_t* data, uint32_t at, uint32_t end, uint8_t letter, uint32_t* start, uint32_t* size
) noexcept nogil:
    """The argument of a meta flag."""
    while True:
        at = request_next_key(data, at, end, start, size)
        if at == 0:
            return False
        if data[start[0]] == letter:
            start[0] += 1
            size[0] -= 1
            return True


cdef uint64_t _number(const uint8_t* digits, uint32_t size) noexcept nogil:
    cdef uint64_t number = 0
    cdef uint32_t i
    for i in range(size):
        number = number * 10 + (digits[i] - c"0")
    return number


cdef bint token_of_request(ClientRequest* request, uint64_t* token) noexcept nogil:
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    if request.view.command == CMD_CAS:
        token[0] = request.view.number
        return True
    if request.view.command < CMD_META_GET:
        return False
    if not _find_flag(data, request.view.flags_offset, request.view.flags_end, b"C", &start, &size):
        return False
    token[0] = _number(data + start, size)
    return True


cdef bint _find_token(const uint8_t* reply, ReplyView* view, uint32_t* start, uint32_t* size) noexcept nogil:
    """Finds the token's digits: at the end of a VALUE line, or behind a meta reply's c."""
    cdef uint32_t end
    if view.kind != REPLY_VALUE:
        return _find_flag(reply, view.flags_offset, view.flags_end, b"c", start, size)
    end = view.line_size
    while reply[end - 1] in (b"\r", b"\n", b" "):
        end -= 1
    start[0] = end
    while reply[start[0] - 1] != b" ":
        start[0] -= 1
    size[0] = end - start[0]
    return True


cdef Block* token_tag(Engine* engine, const uint8_t* reply, size_t size, Server* server) noexcept nogil:
    cdef ReplyView view
    cdef uint32_t start = 0
    cdef uint32_t found = 0
    cdef char[DIGITS] digits
    cdef size_t count
    cdef Block* block
    if reply_parse(reply, size, <uint64_t>-1, &view) != PARSED_OK or not view.has_cas:
        return NULL
    if not _find_token(reply, &view, &start, &found):
        return NULL
    count = snprintf(digits, DIGITS, b"%llu",
                     <unsigned long long>(view.number << TAG_BITS | server.cas_tag))
    block = block_new(&engine.pool, size - found + count)
    if block == NULL:
        return NULL
    memcpy(block.data, reply, start)
    memcpy(block.data + start, digits, count)
    memcpy(block.data + start + count, reply + start + found, size - start - found)
    block.fill = size - found + count
    return block
