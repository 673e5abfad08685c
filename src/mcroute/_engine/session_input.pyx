"""Input of sessions."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr

from mcroute._engine.beginnings cimport request_begin
from mcroute._engine.blocks cimport Block, block_ref
from mcroute._engine.claims cimport claim_expect
from mcroute._engine.counters cimport counter_add
from mcroute._engine.dirty cimport conn_break, conn_mark
from mcroute._engine.groups cimport request_group
from mcroute._engine.deferred cimport request_defer
from mcroute._engine.multigets cimport UNREAD_BYTES
from mcroute._engine.reclaim cimport engine_is_short
from mcroute._engine.requests cimport request_new
from mcroute._engine.session_output cimport request_answer_line, request_answer_text
from mcroute._engine.session_refusals cimport requests_reclaim, session_refuse_password, session_turn_down
from mcroute._engine.state cimport GROUP_LAST_READ, NO_COMMAND, OF_ANY_KEY, OF_NO_KEY, OVERLOADED, ClientRequest, Engine
from mcroute._protocol cimport (
    CMD_META_NOOP, CMD_QUIT, CMD_STATS, CMD_VERBOSITY, CMD_VERSION, ERROR_LINE_LONG, PARSED_CLOSE,
    PARSED_MORE, PARSED_OK, REQ_OPEN, REQ_RESUMED, RequestView, is_authentication, request_binary,
    request_part, request_resume, version_line,
)
from mcroute._protocol.literals cimport END_LINE, NO_MEMORY_LINE


cdef void _answer_locally(Session* session, ClientRequest* request) noexcept nogil:
    cdef const char* line
    cdef size_t size = 0
    if request.view.command == CMD_VERSION:
        line = version_line(&size)
        request_answer_text(request, line, size)
    elif request.view.command == CMD_VERBOSITY:
        # The proxy ignores it, but clients expect a reply.
        request_answer_line(request, b"OK\r\n")
    elif request.view.command == CMD_META_NOOP:
        request_answer_line(request, b"MN\r\n")
    elif request.view.command == CMD_STATS:
        request_defer(request)
    elif request.view.command == CMD_QUIT:
        session.conn.is_closing = True
        request_answer_line(request, b"")
    else:
        request_answer_line(request, b"SERVER_ERROR command is not routed\r\n")


cdef void _start(Session* session, Block* block, size_t start, RequestView* view) noexcept nogil:
    cdef const uint8_t* data = block.data + start
    cdef int group = request_group(data, view)
    cdef ClientRequest* request
    if group > GROUP_LAST_READ:
        claim_expect(session.conn.engine, data + view.key_offset, view.key_size)
    request = request_new(session.conn.engine, session)
    if request == NULL:
        conn_break(&session.conn)
        return
    request.view = view[0]
    block_ref(block)
    request.block = block
    request.offset = start
    if group < 0:
        _answer_locally(session, request)
        return
    request.group = group
    if engine_is_short(session.conn.engine) and not _find_memory(session):
        # Refused before any server is asked: no copy misses a write that another copy has.
        counter_add(&session.conn.engine.counts.refused_memory, 1)
        request.outcome = OVERLOADED
        request_answer_line(request, NO_MEMORY_LINE)
        return
    request_begin(request)


cdef bint _find_memory(Session* session) noexcept nogil:
    return requests_reclaim(session.conn.engine, session, 0) and not engine_is_short(session.conn.engine)


cdef bint _is_authentication(Session* session, const uint8_t* data, const RequestView* view) noexcept nogil:
    cdef int how = session.conn.engine.authentication
    return how != OF_NO_KEY and is_authentication(data, view, how == OF_ANY_KEY)


cdef size_t _swallow(Session* session, size_t size) noexcept nogil:
    """Number of the bytes that still belong to the refused request."""
    cdef size_t skipped = <size_t>min(session.conn.swallow, <uint64_t>size)
    session.conn.swallow -= skipped
    if session.conn.swallow == 0 and session.closes_behind:
        session.conn.is_closing = True
        conn_mark(&session.conn)
    return skipped


# ---- gets that run in parts, because their line is too long ----

cdef size_t _skip_rest(Session* session, const uint8_t* data, size_t size) noexcept nogil:
    """Number of the bytes that still belong to the line of a get that has failed."""
    cdef const uint8_t* newline = <const uint8_t*>memchr(data, c"\n", size)
    if newline == NULL:
        return size
    session.has_rest = session.rest_is_void = False
    return newline - data + 1


cdef bint _waits_for_part(Session* session) noexcept nogil:
    """Whether the next part has to wait: parts run one at a time, as fast as the client reads, to bound memory."""
    return session.has_rest and (session.head != NULL or session.conn.out.bytes > UNREAD_BYTES)


cdef int _parse_part(Session* session, const uint8_t* data, size_t size, RequestView* view) noexcept nogil:
    cdef int command = session.rest_command if session.has_rest else view.command
    return request_part(data, size, session.conn.input.scanned, &session.conn.engine.limits, command,
                        session.has_rest, view)


cdef int _parse(Session* session, const uint8_t* data, size_t size, RequestView* view) noexcept nogil:
    cdef int parsed
    if session.has_rest:
        return _parse_part(session, data, size, view)
    if session.is_binary:
        return request_binary(data, size, view)
    parsed = request_resume(data, size, session.conn.input.scanned, &session.conn.engine.limits,
                            session.conn.is_first, view)
    if parsed == PARSED_CLOSE and view.error == ERROR_LINE_LONG:
        parsed = _parse_part(session, data, size, view)
    return parsed


cdef void _start_part(Session* session, Block* block, size_t start, RequestView* view) noexcept nogil:
    cdef ClientRequest* request
    session.has_rest = view.flags & REQ_OPEN != 0
    session.rest_command = view.command
    if view.key_count > 0:
        _start(session, block, start, view)
    elif not session.has_rest:
        request = request_new(session.conn.engine, session)
        if request == NULL:
            conn_break(&session.conn)
            return
        request.view.command = NO_COMMAND
        request.view.flags = view.flags
        request_answer_line(request, END_LINE)


cdef bint _is_full(Session* session) noexcept nogil:
    cdef Engine* engine = session.conn.engine
    return session.in_flight >= engine.pipeline_max or session.conn.out.bytes >= engine.out_max


cdef void session_input(Session* session) noexcept nogil:
    cdef Block* block = session.conn.input.block
    cdef RequestView view
    cdef size_t start = session.conn.input.start
    cdef size_t end = session.conn.input.end
    cdef int parsed
    cdef bint is_first
    session.conn.input.need = 0
    session.is_paused = False
    session.is_batch = session.head == NULL and session.conn.out.count == 0
    while start < end and not session.conn.is_broken:
        if session.conn.is_closing:
            start = end
            break
        if session.conn.swallow > 0:
            start += _swallow(session, end - start)
            continue
        if session.rest_is_void:
            start += _skip_rest(session, block.data + start, end - start)
            continue
        if _is_full(session) or _waits_for_part(session):
            session.is_paused = True
            break
        parsed = _parse(session, block.data + start, end - start, &view)
        session.conn.input.scanned = 0
        if parsed == PARSED_MORE:
            session.conn.input.need = view.size
            if view.line_size == 0:
                session.conn.input.scanned = end - start
            break
        is_first = session.conn.is_first
        session.conn.is_first = False
        if is_first and parsed != PARSED_CLOSE and _is_authentication(session, block.data + start, &view):
            session_refuse_password(session, &view)
            continue
        if parsed == PARSED_OK:
            if view.flags & (REQ_OPEN | REQ_RESUMED):
                _start_part(session, block, start, &view)
            else:
                _start(session, block, start, &view)
            start += view.size
            continue
        session_turn_down(session, block.data + start, &view, parsed == PARSED_CLOSE)
    session.conn.input.start = start
