"""Incoming bytes of sessions."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memchr, memcpy, strlen

from mcroute._engine.answers cimport conn_break, conn_mark, request_answer_text, request_new
from mcroute._engine.blocks cimport Block, block_drop, block_keep, block_new
from mcroute._engine.claims cimport claim_expect
from mcroute._engine.counters cimport counter_add
from mcroute._engine.counts cimport EngineCounts
from mcroute._engine.handed cimport request_hand_over
from mcroute._engine.meta cimport meta_group
from mcroute._engine.multigets cimport UNREAD_BYTES
from mcroute._engine.relief cimport engine_is_short, requests_relieve
from mcroute._engine.state cimport (
    GROUP_ARITHMETIC, GROUP_DELETE, GROUP_FLUSH, GROUP_LAST_READ, GROUP_READ, GROUP_READ_CAS, GROUP_READ_TOUCH,
    GROUP_STORE, GROUP_STORE_IF, GROUP_TOUCH, NO_COMMAND, OF_ANY_KEY, OF_NO_KEY, OVERLOADED, REFUSED_BY_SERVER,
    Engine, Request,
)
from mcroute._engine.walks cimport walk_begin
from mcroute._protocol cimport (
    BINARY_REFUSAL_MAX, CMD_ADD, CMD_CAS, CMD_DECR, CMD_DELETE, CMD_FLUSH_ALL, CMD_GAT, CMD_GATS, CMD_GET, CMD_GETS,
    CMD_INCR, CMD_META_GET, CMD_META_NOOP, CMD_META_SET, CMD_QUIT, CMD_SET, CMD_STATS, CMD_TOUCH, CMD_VERBOSITY,
    CMD_VERSION, ERROR_AUTHENTICATION, ERROR_BINARY, ERROR_LINE_LONG, ERROR_NO_MEMORY, ERROR_RESP, ERROR_SSH,
    ERROR_TLS, ERROR_TOO_LARGE, ERROR_TOO_LARGE_SILENT, PARSED_CLOSE, PARSED_MORE, PARSED_OK, REQ_BASE64, REQ_NOREPLY,
    REQ_OPEN, REQ_RESUMED, RequestView, binary_refusal, error_text, is_authentication, request_binary, request_parse,
    request_part, request_resume, version_line,
)


cdef int _classic_group(int command) noexcept nogil:
    if command == CMD_GET:
        return GROUP_READ
    if command == CMD_GETS:
        return GROUP_READ_CAS
    if command == CMD_GAT or command == CMD_GATS:
        return GROUP_READ_TOUCH
    if command == CMD_SET:
        return GROUP_STORE
    if CMD_ADD <= command <= CMD_CAS:
        return GROUP_STORE_IF
    if command == CMD_DELETE:
        return GROUP_DELETE
    if command == CMD_INCR or command == CMD_DECR:
        return GROUP_ARITHMETIC
    if command == CMD_TOUCH:
        return GROUP_TOUCH
    if command == CMD_FLUSH_ALL:
        return GROUP_FLUSH
    return -1


cdef int request_group(const uint8_t* data, RequestView* view) noexcept nogil:
    if view.command < CMD_META_GET or view.command == CMD_META_NOOP:
        return _classic_group(view.command)
    return meta_group(data, view)


cdef void _answer_locally(Session* session, Request* request) noexcept nogil:
    cdef const char* line = b"SERVER_ERROR command is not routed\r\n"
    cdef size_t size = 0
    if request.view.command == CMD_VERSION:
        line = version_line(&size)
        request_answer_text(request, line, size)
    elif request.view.command == CMD_VERBOSITY:
        # A proxy has no such verbosity; clients that set it expect to be heard.
        request_answer_text(request, b"OK\r\n", 4)
    elif request.view.command == CMD_META_NOOP:
        request_answer_text(request, b"MN\r\n", 4)
    elif request.view.command == CMD_STATS:
        request_hand_over(request)
    elif request.view.command == CMD_QUIT:
        session.conn.is_closing = True
        request_answer_text(request, b"", 0)
    else:
        request_answer_text(request, line, 36)


cdef void _start(Session* session, Block* block, size_t start, RequestView* view) noexcept nogil:
    cdef const uint8_t* data = block.data + start
    cdef int group = request_group(data, view)
    cdef Request* request
    if group > GROUP_LAST_READ:
        claim_expect(session.conn.engine, data + view.key_offset, view.key_size)
    request = request_new(session.conn.engine, session)
    if request == NULL:
        conn_break(&session.conn)
        return
    request.view = view[0]
    block_keep(block)
    request.block = block
    request.offset = start
    if group < 0:
        _answer_locally(session, request)
        return
    request.group = group
    if engine_is_short(session.conn.engine) and not _find_memory(session):
        # Before any server is asked: no copy misses what another one has.
        counter_add(&session.conn.engine.counts.refused_memory, 1)
        request.outcome = OVERLOADED
        request_answer_text(request, b"SERVER_ERROR out of memory\r\n", 28)
        return
    walk_begin(request)


cdef bint _find_memory(Session* session) noexcept nogil:
    return requests_relieve(session.conn.engine, session, 0) and not engine_is_short(session.conn.engine)


cdef void _refuse(Session* session, int error, int flags) noexcept nogil:
    """`flags` are those of what is refused."""
    cdef size_t size = 0
    cdef const char* text = error_text(error, &size)
    counter_add(&session.conn.engine.counts.refused, 1)
    if size > 0:
        _answer_refused(session, text, size, flags)


cdef void _answer_refused(Session* session, const char* text, size_t size, int flags) noexcept nogil:
    cdef Request* request = request_new(session.conn.engine, session)
    if request == NULL:
        conn_break(&session.conn)
        return
    request.view.command = NO_COMMAND
    request.view.flags = <uint16_t>(flags & REQ_RESUMED)
    request.outcome = REFUSED_BY_SERVER
    request_answer_text(request, text, size)


cdef void _refuse_binary(Session* session, const uint8_t* data, uint64_t size, bint closes) noexcept nogil:
    """Goes on: a client may send many requests before it reads, and waits for a reply to each of them."""
    cdef uint8_t[BINARY_REFUSAL_MAX] reply
    counter_add(&session.conn.engine.counts.refused, 1)
    if not session.is_binary:
        counter_add(&session.conn.engine.counts.refused_binary, 1)
    _answer_refused(session, <const char*>reply, binary_refusal(reply, data), 0)
    session.conn.swallow = size
    session.is_binary = True
    # Behind the body: of a connection that is closed with unread bytes the reply may be lost.
    session.closes_behind = closes


cdef bint _refuse_value(Session* session, const uint8_t* data, RequestView* refused) noexcept nogil:
    """Deletes what a refused value was to replace, as memcached does: the old one is stale to its writer.

    The refusal is told once that is done, so that nobody who has heard it reads the old value. False if there is no
    memory for it.
    """
    cdef Engine* engine = session.conn.engine
    cdef const char* mark = b" b\r\n" if refused.flags & REQ_BASE64 else b"\r\n"
    cdef Block* block = block_new(&engine.uploads, refused.key_size + 8)
    cdef Request* request = request_new(engine, session) if block != NULL else NULL
    if request == NULL:
        if block != NULL:
            block_drop(block)
        return False
    counter_add(&engine.counts.refused, 1)
    request.verdict = <uint8_t>refused.error
    # In the meta form, because only that has keys in base64, and none that is taken for a noreply.
    memcpy(block.data, b"md ", 3)
    memcpy(block.data + 3, data + refused.key_offset, refused.key_size)
    memcpy(block.data + 3 + refused.key_size, mark, strlen(mark))
    block.fill = 3 + refused.key_size + strlen(mark)
    request.block = block
    request_parse(block.data, block.fill, &engine.limits, False, &request.view)
    request.group = GROUP_DELETE
    walk_begin(request)
    return True


cdef void _refuse_write(Session* session, const uint8_t* data, RequestView* view) noexcept nogil:
    if view.command not in (CMD_SET, CMD_META_SET) or not _refuse_value(session, data, view):
        _refuse(session, view.error, view.flags)


cdef void _count_foreign(EngineCounts* counts, int error) noexcept nogil:
    if error == ERROR_TLS:
        counter_add(&counts.refused_tls, 1)
    elif error == ERROR_RESP:
        counter_add(&counts.refused_resp, 1)
    elif error == ERROR_SSH:
        counter_add(&counts.refused_ssh, 1)


cdef void _turn_down(Session* session, const uint8_t* data, RequestView* view, bint closes) noexcept nogil:
    if view.error == ERROR_BINARY:
        _refuse_binary(session, data, view.size, closes)
        return
    if view.error in (ERROR_TOO_LARGE, ERROR_TOO_LARGE_SILENT):
        _refuse_write(session, data, view)
    else:
        _count_foreign(&session.conn.engine.counts, view.error)
        _refuse(session, view.error, view.flags)
    if view.flags & (REQ_OPEN | REQ_RESUMED):
        session.has_rest = session.rest_is_void = view.flags & REQ_OPEN != 0
    if closes:
        session.conn.is_closing = True
        conn_mark(&session.conn)
    else:
        session.conn.swallow = view.size


cdef bint session_refuse(Session* session) noexcept nogil:
    cdef Engine* engine = session.conn.engine
    cdef const uint8_t* data = session.conn.input.block.data + session.conn.input.start
    cdef size_t held = session.conn.input.end - session.conn.input.start
    cdef RequestView view
    cdef int parsed = request_parse(data, held, &engine.limits, False, &view)
    if parsed != PARSED_MORE or view.line_size == 0 or session.conn.swallow > 0:
        return False
    counter_add(&engine.counts.refused_memory, 1)
    view.error = ERROR_TOO_LARGE_SILENT if view.flags & REQ_NOREPLY else ERROR_NO_MEMORY
    _refuse_write(session, data, &view)
    session.conn.swallow = view.size - held
    session.conn.input.start = session.conn.input.end = session.conn.input.need = 0
    session.conn.input.scanned = session.conn.input.large = 0
    return True


cdef bint _is_authentication(Session* session, const uint8_t* data, const RequestView* view) noexcept nogil:
    cdef int how = session.conn.engine.authentication
    return how != OF_NO_KEY and is_authentication(data, view, how == OF_ANY_KEY)


cdef void _refuse_authentication(Session* session, RequestView* view) noexcept nogil:
    """A password is not stored like a value. Nothing is deleted either: the key means nothing."""
    _refuse(session, ERROR_AUTHENTICATION, 0)
    session.conn.swallow = view.size


cdef size_t _swallow(Session* session, size_t size) noexcept nogil:
    """How many of the bytes are still the refused request's."""
    cdef size_t skipped = <size_t>min(session.conn.swallow, <uint64_t>size)
    session.conn.swallow -= skipped
    if session.conn.swallow == 0 and session.closes_behind:
        session.conn.is_closing = True
        conn_mark(&session.conn)
    return skipped


# ---- gets whose line is not kept as a whole ----

cdef size_t _skip_rest(Session* session, const uint8_t* data, size_t size) noexcept nogil:
    """How many of the bytes are still the line's of a get that has failed."""
    cdef const uint8_t* newline = <const uint8_t*>memchr(data, 10, size)
    if newline == NULL:
        return size
    session.has_rest = session.rest_is_void = False
    return newline - data + 1


cdef bint _waits_for_part(Session* session) noexcept nogil:
    """One part is asked for at a time, and its client takes the items, so that memory has a bound."""
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
    cdef Request* request
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
        request_answer_text(request, b"END\r\n", 5)


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
            _refuse_authentication(session, &view)
            continue
        if parsed == PARSED_OK:
            if view.flags & (REQ_OPEN | REQ_RESUMED):
                _start_part(session, block, start, &view)
            else:
                _start(session, block, start, &view)
            start += view.size
            continue
        _turn_down(session, block.data + start, &view, parsed == PARSED_CLOSE)
    session.conn.input.start = start
