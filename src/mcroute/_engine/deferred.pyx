"""A deferred request keeps its place in its session: later replies wait for it."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strlen

from mcroute._engine.blocks cimport Slice
from mcroute._engine.lines cimport error_line
from mcroute._engine.requests cimport request_walk_ended
from mcroute._engine.session_output cimport request_answer, request_answer_text
from mcroute._engine.state cimport OVERLOADED

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef void request_defer(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef const char* line = error_line(OVERLOADED)
    if engine.deferred_count >= engine.deferred_max:
        request.outcome = OVERLOADED
        request_answer_text(request, line, strlen(line))
        return
    engine.deferred_count += 1
    # A reference until the answer, as of a walk at work.
    request.walks += 1
    request.next_deferred = NULL
    if engine.deferred == NULL:
        engine.deferred = request
    else:
        engine.last_deferred.next_deferred = request
    engine.last_deferred = request


cdef void _release(ClientRequest* request) noexcept nogil:
    request.plan.engine.deferred_count -= 1
    request_walk_ended(request)


cdef Deferred* _copy(ClientRequest* request) noexcept nogil:
    cdef const char* line = <const char*>request.block.data + request.offset
    cdef size_t size = request.view.line_size
    cdef Deferred* copy
    while size > 0 and (line[size - 1] == c"\n" or line[size - 1] == c"\r"):
        size -= 1
    copy = <Deferred*>malloc(sizeof(Deferred) + size)
    if copy != NULL:
        copy.next = NULL
        copy.number = request.deferred
        copy.size = size
        memcpy(copy.line, line, size)
    return copy


cdef Deferred* deferred_take(Engine* engine) noexcept nogil:
    cdef Deferred* first = NULL
    cdef Deferred** end = &first
    cdef ClientRequest* request
    while engine.deferred != NULL:
        request = engine.deferred
        if request.is_done:
            # Its deadline came first.
            engine.deferred = request.next_deferred
            _release(request)
            continue
        engine.next_id += 1
        request.deferred = engine.next_id
        end[0] = _copy(request)
        if end[0] == NULL:
            # Without memory: the next call takes the rest, or they end at their deadlines.
            break
        end = &end[0].next
        engine.deferred = request.next_deferred
        request.next_deferred = engine.taken
        engine.taken = request
    return first


cdef bint deferred_answer(Engine* engine, uint64_t number, const uint8_t* reply, size_t size) noexcept nogil:
    cdef ClientRequest** place = &engine.taken
    cdef ClientRequest* request
    while place[0] != NULL and place[0].deferred != number:
        place = &place[0].next_deferred
    request = place[0]
    if request == NULL:
        return False
    place[0] = request.next_deferred
    if not request.is_done:
        request_answer_text(request, <const char*>reply, size)
    _release(request)
    return True


cdef void _end(ClientRequest* request) noexcept nogil:
    # request_walk_ended frees answered requests only.
    if not request.is_done:
        request_answer(request, NOTHING)
    _release(request)


cdef void deferred_end_all(Engine* engine) noexcept nogil:
    cdef ClientRequest* request
    while engine.deferred != NULL:
        request = engine.deferred
        engine.deferred = request.next_deferred
        _end(request)
    while engine.taken != NULL:
        request = engine.taken
        engine.taken = request.next_deferred
        _end(request)


cdef list deferred_lines(Deferred* taken):
    cdef Deferred* following
    lines = []
    while taken != NULL:
        lines.append((taken.number, (<const char*>taken.line)[:taken.size]))
        following = taken.next
        free(taken)
        taken = following
    return lines
