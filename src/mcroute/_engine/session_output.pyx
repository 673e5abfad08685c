"""Replies are sent in the order of the requests."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from mcroute._engine.blocks cimport Block, block_unref, block_ref, out_copy, out_slice, slice_unref
from mcroute._engine.counters cimport counter_add
from mcroute._engine.deadlines cimport deadline_remove, deadline_add
from mcroute._engine.dirty cimport conn_break, conn_mark
from mcroute._engine.faults cimport ERROR_LINE_MAX, request_error_line
from mcroute._engine.groups cimport meta_variant
from mcroute._engine.histograms cimport histogram_add
from mcroute._engine.holds cimport release_requests
from mcroute._engine.reclaim cimport replies_reclaim, reply_block
from mcroute._engine.requests cimport request_drop_reply, request_release
from mcroute._engine.state cimport (
    DELETED, HIT, LOST, MISS, NO_COMMAND, NUMBER, REFUSED_BY_SERVER, STORED, Engine, KeyState, Rounds,
    key_item, request_rounds,
)
from mcroute._protocol cimport CMD_META_GET, REQ_NOREPLY, REQ_OPEN, REQ_QUIET, REQ_RESUMED, error_text
from mcroute._protocol.literals cimport END_LINE, END_SIZE


cdef bint _write_items(Session* session, ClientRequest* request) noexcept nogil:
    cdef uint32_t i
    for i in range(request.key_count):
        if request.keys[i].block != NULL:
            if not out_slice(&session.conn.out, &session.conn.engine.pool, key_item(&request.keys[i])):
                return False
    if request.view.flags & REQ_OPEN:
        return True
    return out_copy(&session.conn.out, &session.conn.engine.pool, <const uint8_t*>END_LINE, END_SIZE)


cdef bint _is_quiet(ClientRequest* request) noexcept nogil:
    """Whether to omit the reply: for quiet meta commands a get's miss, another command's success."""
    if not request.view.flags & REQ_QUIET:
        return False
    if request.view.command == CMD_META_GET:
        return request.outcome == MISS
    return request.outcome == STORED or request.outcome == DELETED or request.outcome == NUMBER


cdef void _end_behind_items(Session* session) noexcept nogil:
    """Closes the session after an error in the place of an item: without END, later replies would be misread."""
    session_discard_requests(session)
    session.conn.is_closing = True


cdef void _note_part(Session* session, ClientRequest* request) noexcept nogil:
    """Notes, of a get in parts (see request_part), whether it has items so far, or has failed."""
    cdef uint32_t i
    cdef bint has_items = request.is_in_rounds and request_rounds(request).hits > 0
    if not request.view.flags & REQ_RESUMED:
        session.rest_has_items = False
    if request.failure == HIT and (request.keys != NULL or request.outcome < REFUSED_BY_SERVER):
        for i in range(request.key_count):
            has_items |= request.keys[i].block != NULL
        session.rest_has_items |= has_items
        return
    if request.view.flags & REQ_OPEN:
        session.rest_is_void = True
    if session.rest_has_items:
        _end_behind_items(session)


cdef bint _write(Session* session, ClientRequest* request) noexcept nogil:
    cdef char[ERROR_LINE_MAX] line
    cdef const char* verdict
    cdef size_t size = 0
    if request.verdict != 0 and not session.conn.is_broken:
        verdict = error_text(request.verdict, &size)
        return size == 0 or out_copy(&session.conn.out, &session.conn.engine.pool, <const uint8_t*>verdict, size)
    if session.conn.is_broken or request.view.flags & REQ_NOREPLY or _is_quiet(request):
        return True
    if request.view.flags & (REQ_OPEN | REQ_RESUMED):
        _note_part(session, request)
    if request.keys == NULL:
        return request.reply.block == NULL or out_slice(
            &session.conn.out, &session.conn.engine.pool, request.reply)
    if request.failure != HIT:
        if request.is_in_rounds and request_rounds(request).is_begun:
            _end_behind_items(session)
        if request.failure == REFUSED_BY_SERVER and request.reply.block != NULL:
            return out_slice(&session.conn.out, &session.conn.engine.pool, request.reply)
        size = request_error_line(request, request.failure, line)
        return out_copy(&session.conn.out, &session.conn.engine.pool, <const uint8_t*>line, size)
    return _write_items(session, request)


cdef void request_wait(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    deadline_remove(&engine.requests, &request.deadline)
    request.is_stalled = True
    request.session.has_rounds = True
    request.deadline.at = 0
    deadline_add(&engine.stalled, &request.deadline)


cdef bint request_write_round(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef Rounds* rounds = request_rounds(request)
    cdef KeyState* key
    cdef uint32_t i
    for i in range(rounds.first, rounds.end):
        key = &request.keys[i]
        if key.block == NULL:
            continue
        if not out_slice(&request.session.conn.out, &engine.pool, key_item(key)):
            return False
        block_unref(key.block)
        key.block = NULL
        rounds.hits += 1
        rounds.is_begun = True
    deadline_remove(&engine.stalled, &request.deadline)
    request.is_stalled = False
    request.deadline.at = engine.now + request.plan.deadline
    deadline_add(&engine.requests, &request.deadline)
    return True


cdef void _append_finished(Engine* engine, ClientRequest* request) noexcept nogil:
    request.next = NULL
    if engine.finished == NULL:
        engine.finished = request
    else:
        engine.last_finished.next = request
    engine.last_finished = request


cdef void _count(ClientRequest* request, Engine* engine) noexcept nogil:
    cdef int command = request.view.command
    cdef uint64_t* results
    cdef uint32_t hits = request_rounds(request).hits if request.is_in_rounds else 0
    cdef uint32_t i
    counter_add(&engine.counts.replies, 1)
    if command == NO_COMMAND:
        return
    # The deadline has not changed since the request began.
    histogram_add(&engine.counts.durations[command], engine.now - (request.deadline.at - request.plan.deadline))
    results = engine.counts.results[command]
    if request.keys == NULL:
        counter_add(&results[request.outcome], 1)
        if command >= CMD_META_GET:
            command = meta_variant(request)
            if command >= 0:
                counter_add(&engine.counts.variants[command][request.outcome], 1)
    elif request.failure != HIT:
        counter_add(&results[request.failure], request.key_count)
    else:
        for i in range(request.key_count):
            hits += request.keys[i].block != NULL
        counter_add(&results[<int>HIT], hits)
        counter_add(&results[<int>MISS], request.key_count - hits)


cdef void _resume_stalled(Session* session) noexcept nogil:
    """If the session's first request is a multiget between two rounds, it goes on at the end of the turn."""
    cdef ClientRequest* request = session.head
    if request == NULL or not request.is_stalled or request.is_released:
        return
    request.is_released = True
    request.walks += 1
    request.next_waiting = NULL
    release_requests(session.conn.engine, request, request)


cdef void _finish(ClientRequest* request) noexcept nogil:
    cdef Session* session = request.session
    cdef Engine* engine = request.plan.engine
    request.is_done = True
    deadline_remove(&engine.stalled if request.is_stalled else &engine.requests, &request.deadline)
    _count(request, engine)
    if session == NULL and request.call != 0:
        _append_finished(engine, request)
        return
    if session == NULL:
        request.is_answered = True
        if request.walks == 0:
            request_release(request)
        return
    conn_mark(&session.conn)
    while session.head != NULL and session.head.is_done:
        request = session.head
        session.head = request.next
        if session.head == NULL:
            session.tail = NULL
        session.in_flight -= 1
        if not _write(session, request):
            conn_break(&session.conn)
        request.is_answered = True
        if request.walks == 0:
            request_release(request)
        elif request.walks > 1:
            # Hedged: the late ask may run for long.
            request_drop_reply(request)
    if session.has_rounds:
        _resume_stalled(session)
    if engine.pool.used_bytes > engine.pool.used_share:
        replies_reclaim(engine)


cdef void request_answer(ClientRequest* request, Slice reply) noexcept nogil:
    if reply.block != NULL:
        block_ref(reply.block)
    # A multiget may have a server's refusal here.
    slice_unref(&request.reply)
    request.reply = reply
    _finish(request)


cdef void request_answer_text(ClientRequest* request, const char* text, size_t size) noexcept nogil:
    cdef Block* block = reply_block(request.plan.engine, size)
    if block == NULL:
        if request.session != NULL:
            conn_break(&request.session.conn)
        _finish(request)
        return
    memcpy(block.data, text, size)
    block.fill = size
    request_answer(request, Slice(block, 0, size))
    block_unref(block)


cdef void request_answer_joined(ClientRequest* request) noexcept nogil:
    _finish(request)


cdef void session_discard_requests(Session* session) noexcept nogil:
    cdef ClientRequest* request = session.head
    cdef ClientRequest* following
    while request != NULL:
        following = request.next
        request.session = NULL
        if request.is_stalled:
            request.failure = LOST
            _finish(request)
        elif request.is_done:
            request.is_answered = True
            if request.walks == 0:
                request_release(request)
        request = following
    session.head = NULL
    session.tail = NULL
    session.in_flight = 0
