"""Calls: no bytes are made and parsed twice, and no call waits for another's reply."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from mcroute._engine.beginnings cimport request_begin
from mcroute._engine.blocks cimport Block, Slice, block_unref, block_new
from mcroute._engine.faults cimport ERROR_LINE_MAX, request_culprit, request_error_line
from mcroute._engine.groups cimport request_group
from mcroute._engine.reclaim cimport engine_is_short
from mcroute._engine.requests cimport request_new, request_taken
from mcroute._engine.state cimport HIT, MISS, NUMBER, REFUSED_BY_SERVER, key_item
from mcroute._protocol cimport (
    CMD_GATS, CMD_META_GET, PARSED_OK, REPLY_VALUE, REQ_NOREPLY, REQ_QUIET, ReplyView, RequestView,
    error_text, reply_parse, request_parse,
)

# ---- in ----

cdef int _parse(Engine* engine, bytes data, RequestView* view) except -1:
    """Parses one whole request. Returns its group; raises ValueError if it has no group, or no reply."""
    cdef const uint8_t* start = data
    cdef size_t size = 0
    cdef const char* text
    cdef int parsed = request_parse(start, len(data), &engine.limits, False, view)
    cdef int group
    if parsed != PARSED_OK or view.size != <size_t>len(data):
        text = error_text(view.error, &size) if parsed > PARSED_OK else NULL
        reason = text[:size].decode().strip() if size > 0 else "not exactly one whole request"
        raise ValueError(f"{data[:80]!r}: {reason}")
    if view.flags & (REQ_NOREPLY | REQ_QUIET):
        raise ValueError(f"{data[:80]!r}: a call has a reply; leave it unread instead")
    group = request_group(start, view)
    if group < 0:
        raise ValueError(f"{data[:80]!r}: the command is not routed")
    return group


cdef ClientRequest* call_begin(Engine* engine, bytes data) except NULL:
    cdef RequestView view
    cdef int group = _parse(engine, data, &view)
    cdef Block* block
    cdef ClientRequest* request
    if engine.calls >= engine.calls_max:
        raise OverflowError(f"{engine.calls} calls are in flight already")
    if engine_is_short(engine):
        raise OverflowError("the memory for requests is used up")
    block = block_new(&engine.uploads, len(data))
    request = request_new(engine, NULL) if block != NULL else NULL
    if request == NULL:
        if block != NULL:
            block_unref(block)
        raise MemoryError
    memcpy(block.data, <const uint8_t*>data, len(data))
    block.fill = len(data)
    engine.next_id += 1
    engine.calls += 1
    request.call = engine.next_id
    request.view = view
    request.block = block
    request.group = group
    request_begin(request)
    return request


# ---- out ----

cdef object _items(Slice piece):
    """The items of VALUE lines as (key, flags, cas, value)."""
    cdef ReplyView view
    cdef const uint8_t* data
    cdef size_t done = 0
    items = []
    while done < piece.size:
        data = piece.block.data + piece.offset + done
        if reply_parse(data, piece.size - done, <size_t>-1, &view) != PARSED_OK or view.kind != REPLY_VALUE:
            break
        items.append((
            (<const char*>data)[view.key_offset:view.key_offset + view.key_size],
            view.client_flags,
            view.number if view.has_cas else None,
            (<const char*>data)[view.value_offset:view.value_offset + view.value_size],
        ))
        done += view.size
    return items


cdef bytes _error(ClientRequest* request, int outcome):
    cdef char[ERROR_LINE_MAX] line
    return line[:request_error_line(request, outcome, line) - 2]


cdef object _reply(ClientRequest* request):
    """A reply of one line; an int if it is a number."""
    cdef Slice piece = request.reply
    cdef const char* text
    cdef bytes line
    if piece.block == NULL:
        return _error(request, request.outcome)
    text = <const char*>piece.block.data + piece.offset
    line = text[:piece.size]
    if request.outcome == NUMBER and request.view.command < CMD_META_GET:
        return int(line)
    # A value may end in bytes that look like a line end: only the last line end is removed.
    return line.removesuffix(b"\r\n")


cdef object _result(ClientRequest* request):
    cdef uint32_t i
    if request.failure == REFUSED_BY_SERVER and request.reply.block != NULL:
        return (request.call, request.failure, _reply(request))
    if request.failure != HIT:
        return (request.call, request.failure, _error(request, request.failure))
    if request.keys != NULL:
        items = []
        for i in range(request.key_count):
            if request.keys[i].block != NULL:
                items += _items(key_item(&request.keys[i]))
        return (request.call, HIT if items else MISS, items)
    if request.view.command <= CMD_GATS and request.outcome < REFUSED_BY_SERVER:
        return (request.call, request.outcome, _items(request.reply) if request.reply.block != NULL else [])
    return (request.call, request.outcome, _reply(request))


cdef list calls_take(Engine* engine, dict culprits):
    cdef ClientRequest* request
    cdef int outcome, culprit
    results = []
    while engine.finished != NULL:
        request = engine.finished
        if request.call != 0:
            results.append(_result(request))
            outcome = request.failure if request.failure != HIT else request.outcome
            culprit = request_culprit(request, outcome) if outcome >= REFUSED_BY_SERVER else -1
            if culprit >= 0:
                culprits[request.call] = culprit
        request_taken(request)
    return results
