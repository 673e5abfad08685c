"""Rewriting of meta requests and replies.

An opaque of ours on every request proves that a meta reply is the answer to it (one-word replies carry nothing else).
Requests to servers have no quiet modes, because each request needs its reply.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, strlen

from mcroute._engine.blocks cimport Slice, out_copy, out_slice
from mcroute._engine.exptimes cimport walk_exptime, walk_is_capped
from mcroute._engine.reclaim cimport reply_block
from mcroute._engine.tokens cimport TAG_BITS, token_of_request
from mcroute._protocol cimport (
    CMD_META_DEBUG, CMD_META_SET, REPLY_CLIENT_ERROR, REPLY_ERROR, REPLY_META_MISS, REPLY_SERVER_ERROR,
    REQ_BASE64, REQ_HAS_OPAQUE, RequestView, request_next_key,
)
from mcroute._protocol.lexing cimport read_i64
from mcroute._protocol.literals cimport CRLF, CRLF_SIZE

cdef enum:
    TOKEN_ROOM = 32             # " C", twenty digits, and a zero
    OPAQUE_ROOM = 16            # " O", ten digits, and the zero that snprintf adds


cdef bint _queue_own_token(OutQueue* out, Engine* engine, ClientRequest* request) noexcept nogil:
    """Queues the CAS token without its tag, as the server knows it."""
    cdef char[TOKEN_ROOM] text
    cdef uint64_t token = 0
    cdef int size
    token_of_request(request, &token)
    size = snprintf(text, TOKEN_ROOM, b" C%llu", <unsigned long long>(token >> TAG_BITS))
    return out_copy(out, &engine.outbound, <uint8_t*>text, size)


cdef bint _queue_lifetime(OutQueue* out, Engine* engine, Walk* walk, uint8_t letter, int64_t exptime) noexcept nogil:
    """Queues T or N, with the stand-in's lifetime."""
    cdef char[TOKEN_ROOM] text
    cdef int size = snprintf(text, TOKEN_ROOM, b" %c%lld", <int>letter, <long long>walk_exptime(walk, exptime))
    return out_copy(out, &engine.outbound, <uint8_t*>text, size)


cdef bint _queue_flags(OutQueue* out, Engine* engine, Walk* walk, uint32_t opaque) noexcept nogil:
    """Queues the flags, with our opaque in the place of the client's, or last."""
    cdef ClientRequest* request = walk.request
    # Without T, an item of ms lives for ever.
    cdef bint lacks_lifetime = walk_is_capped(walk) and request.view.command == CMD_META_SET
    cdef bint tidy = True
    cdef int64_t exptime = 0
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t at = request.view.flags_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    cdef bint is_placed = False
    cdef bint is_queued
    cdef char[OPAQUE_ROOM] ours
    cdef int ours_size = snprintf(ours, OPAQUE_ROOM, b" O%u", opaque)
    while True:
        at = request_next_key(data, at, request.view.flags_end, &start, &size)
        if at == 0:
            return (not lacks_lifetime or _queue_lifetime(out, engine, walk, b'T', 0)) and (
                is_placed or out_copy(out, &engine.outbound, <uint8_t*>ours, ours_size))
        if data[start] == b'q':
            continue
        if data[start] in (b'T', b'N') and walk_is_capped(walk):
            lacks_lifetime = lacks_lifetime and data[start] == b'N'
            read_i64(data + start + 1, size - 1, &exptime, &tidy)
            is_queued = _queue_lifetime(out, engine, walk, data[start], exptime)
        elif data[start] == b'O':
            is_placed = True
            is_queued = out_copy(out, &engine.outbound, <uint8_t*>ours, ours_size)
        elif data[start] == b'C' and walk.tags_cas:
            is_queued = _queue_own_token(out, engine, request)
        else:
            is_queued = (out_copy(out, &engine.outbound, <const uint8_t*>b" ", strlen(b" "))
                         and out_copy(out, &engine.outbound, data + start, size))
        if not is_queued:
            return False


cdef bint queue_meta(OutQueue* out, Engine* engine, Walk* walk, uint32_t opaque) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef RequestView* view = &request.view
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t head = view.flags_offset
    # The line up to its flags, without the blanks that may stand before them or the line's end.
    while head > 0 and data[head - 1] in (b' ', b'\r', b'\n'):
        head -= 1
    if not (out_copy(out, &engine.outbound, data, head)
            and _queue_flags(out, engine, walk, opaque)
            and out_copy(out, &engine.outbound, <const uint8_t*>CRLF, CRLF_SIZE)):
        return False
    if view.command != CMD_META_SET:
        return True
    return (out_slice(out, &engine.outbound, Slice(request.block, request.offset + view.value_offset, view.value_size))
            and out_copy(out, &engine.outbound, <const uint8_t*>CRLF, CRLF_SIZE))


cdef bint meta_matches(Expected* expected, const uint8_t* data, const ReplyView* view) noexcept nogil:
    cdef char[OPAQUE_ROOM] ours
    cdef int size
    if view.kind in (REPLY_ERROR, REPLY_CLIENT_ERROR, REPLY_SERVER_ERROR) or expected.command == CMD_META_DEBUG:
        return True
    if view.kind == REPLY_META_MISS and view.flags_end == view.flags_offset:
        # With extstore, of a value whose page was lost: memcached writes EN over the reply that it had begun.
        return True
    size = snprintf(ours, OPAQUE_ROOM, b"%u", expected.opaque)
    return view.opaque_size == <uint32_t>size and memcmp(data + view.opaque_offset, ours, size) == 0


cdef Block* meta_reply(ClientRequest* request, const char* letters) noexcept nogil:
    cdef RequestView* view = &request.view
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t at = view.flags_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    # Returned flags are copies of the request's, except k, which returns the key, and b for a key in base64.
    cdef Block* block = reply_block(request.plan.engine, view.line_size + view.key_size + 8)
    if block == NULL:
        return NULL
    memcpy(block.data, letters, 2)
    block.fill = 2
    while True:
        at = request_next_key(data, at, view.flags_end, &start, &size)
        if at == 0:
            break
        if data[start] == b'O':
            _append_text(block, b" ")
            _append(block, <const char*>data + start, size)
        elif data[start] == b'k':
            _append_text(block, b" k")
            _append(block, <const char*>data + view.key_offset, view.key_size)
            if view.flags & REQ_BASE64:
                _append_text(block, b" b")
    _append_text(block, CRLF)
    return block


cdef void _append(Block* block, const char* text, size_t size) noexcept nogil:
    memcpy(block.data + block.fill, text, size)
    block.fill += size


cdef inline void _append_text(Block* block, const char* text) noexcept nogil:
    _append(block, text, strlen(text))


cdef Block* meta_restore(ClientRequest* request, const uint8_t* data, ReplyView* view) noexcept nogil:
    cdef RequestView* asked = &request.view
    # The bytes to cut out: our opaque; if no opaque replaces it, also its letter and the blank before it.
    cdef size_t start = view.opaque_offset - 1
    cdef size_t end = view.opaque_offset + view.opaque_size
    cdef size_t size = 0
    cdef Block* block
    cdef uint8_t* to
    if asked.flags & REQ_HAS_OPAQUE:
        start += 1
        size = asked.opaque_size
    else:
        start -= 1
    block = reply_block(request.plan.engine, <size_t>view.size - (end - start) + size)
    if block == NULL:
        return NULL
    to = block.data
    memcpy(to, data, start)
    if size > 0:
        memcpy(to + start, request.block.data + request.offset + asked.opaque_offset, size)
    memcpy(to + start + size, data + end, <size_t>view.size - end)
    block.fill = start + size + <size_t>view.size - end
    return block
