"""Answers to refused requests, and refusals of arriving values when memory is used up."""

from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcpy, strlen

from mcroute._engine.beginnings cimport request_begin
from mcroute._engine.blocks cimport Block, block_unref, block_new
from mcroute._engine.counters cimport counter_add
from mcroute._engine.counts cimport EngineCounts
from mcroute._engine.dirty cimport conn_break, conn_mark
from mcroute._engine.requests cimport request_new
from mcroute._engine.session_output cimport request_answer_text
from mcroute._engine.state cimport GROUP_DELETE, NO_COMMAND, REFUSED_BY_SERVER, ClientRequest
from mcroute._protocol cimport (
    BINARY_REFUSAL_MAX, CMD_META_SET, CMD_SET, ERROR_AUTHENTICATION, ERROR_BINARY, ERROR_NO_MEMORY,
    ERROR_RESP, ERROR_SSH, ERROR_TLS, ERROR_TOO_LARGE, ERROR_TOO_LARGE_SILENT, PARSED_MORE, REQ_BASE64,
    REQ_NOREPLY, REQ_OPEN, REQ_RESUMED, binary_refusal, error_text, request_parse,
)

cdef enum:
    REFUSED_AT_ONCE = 16        # values in one call of requests_reclaim; later input refuses more


cdef void _refuse(Session* session, int error, int flags) noexcept nogil:
    """Answers with the error's text, if it has one. `flags` are those of the refused request."""
    cdef size_t size = 0
    cdef const char* text = error_text(error, &size)
    counter_add(&session.conn.engine.counts.refused, 1)
    if size > 0:
        _answer_refused(session, text, size, flags)


cdef void _answer_refused(Session* session, const char* text, size_t size, int flags) noexcept nogil:
    cdef ClientRequest* request = request_new(session.conn.engine, session)
    if request == NULL:
        conn_break(&session.conn)
        return
    request.view.command = NO_COMMAND
    request.view.flags = <uint16_t>(flags & REQ_RESUMED)
    request.outcome = REFUSED_BY_SERVER
    request_answer_text(request, text, size)


cdef void _refuse_binary(Session* session, const uint8_t* data, uint64_t size, bint closes) noexcept nogil:
    """The session goes on: a client may send many requests before it reads, and waits for a reply to each."""
    cdef uint8_t[BINARY_REFUSAL_MAX] reply
    counter_add(&session.conn.engine.counts.refused, 1)
    if not session.is_binary:
        counter_add(&session.conn.engine.counts.refused_binary, 1)
    _answer_refused(session, <const char*>reply, binary_refusal(reply, data), 0)
    session.conn.swallow = size
    session.is_binary = True
    # Closed after the body: if a connection is closed with unread bytes, the reply may be lost.
    session.closes_behind = closes


cdef bint _refuse_value(Session* session, const uint8_t* data, RequestView* refused) noexcept nogil:
    """Deletes the value that a refused one was to replace, as memcached does: the old one is stale to its writer.

    The client gets the refusal after the delete, so that no client reads the old value after it. False if there is no
    memory for the delete.
    """
    cdef Engine* engine = session.conn.engine
    cdef const char* mark = b" b\r\n" if refused.flags & REQ_BASE64 else b"\r\n"
    cdef Block* block = block_new(&engine.uploads, refused.key_size + 8)
    cdef ClientRequest* request = request_new(engine, session) if block != NULL else NULL
    if request == NULL:
        if block != NULL:
            block_unref(block)
        return False
    counter_add(&engine.counts.refused, 1)
    request.verdict = <uint8_t>refused.error
    # A meta delete: it can have a key in base64, and no key in it is taken for noreply.
    memcpy(block.data, b"md ", strlen(b"md "))
    block.fill = strlen(b"md ")
    memcpy(block.data + block.fill, data + refused.key_offset, refused.key_size)
    block.fill += refused.key_size
    memcpy(block.data + block.fill, mark, strlen(mark))
    block.fill += strlen(mark)
    request.block = block
    request_parse(block.data, block.fill, &engine.limits, False, &request.view)
    request.group = GROUP_DELETE
    request_begin(request)
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


cdef void session_turn_down(Session* session, const uint8_t* data, RequestView* view, bint closes) noexcept nogil:
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


cdef void session_refuse_password(Session* session, RequestView* view) noexcept nogil:
    """Refuses a password instead of storing it as a value. Deletes nothing: its key has no meaning."""
    _refuse(session, ERROR_AUTHENTICATION, 0)
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


cdef Session* _largest_value(Engine* engine) noexcept nogil:
    cdef Session* session = engine.sessions
    cdef Session* largest = NULL
    while session != NULL:
        if session.conn.input.block != NULL and not session.conn.is_broken and (
                largest == NULL or session.conn.input.block.capacity > largest.conn.input.block.capacity):
            largest = session
        session = session.next
    return largest


cdef bint requests_reclaim(Engine* engine, Session* requester, size_t wanted) noexcept nogil:
    cdef Session* largest
    cdef int _i
    for _i in range(REFUSED_AT_ONCE):
        if engine.uploads.used_bytes + wanted <= engine.uploads.used_share:
            return True
        largest = _largest_value(engine)
        if largest == NULL or largest == requester:
            return False
        if not session_refuse(largest):
            counter_add(&engine.counts.closed_memory, 1)
            conn_break(&largest.conn)
        block_unref(largest.conn.input.block)
        largest.conn.input.block = NULL
    return engine.uploads.used_bytes + wanted <= engine.uploads.used_share
