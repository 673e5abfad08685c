"""What is handed over keeps its place in its session: replies behind it wait."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strlen

from mcroute._engine.blocks cimport Slice
from mcroute._engine.lines cimport error_line
from mcroute._engine.requests cimport request_walk_ended
from mcroute._engine.session_output cimport request_answer, request_answer_text
from mcroute._engine.state cimport OVERLOADED

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef void request_hand_over(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef const char* line = error_line(OVERLOADED)
    if engine.handed_count >= engine.handed_max:
        request.outcome = OVERLOADED
        request_answer_text(request, line, strlen(line))
        return
    engine.handed_count += 1
    # Held until it is answered, as if a walk were under way.
    request.walks += 1
    request.next_handed = NULL
    if engine.handed == NULL:
        engine.handed = request
    else:
        engine.last_handed.next_handed = request
    engine.last_handed = request


cdef void _leave(ClientRequest* request) noexcept nogil:
    request.plan.engine.handed_count -= 1
    request_walk_ended(request)


cdef Handed* _copy(ClientRequest* request) noexcept nogil:
    cdef const char* line = <const char*>request.block.data + request.offset
    cdef size_t size = request.view.line_size
    cdef Handed* copy
    while size > 0 and (line[size - 1] == c"\n" or line[size - 1] == c"\r"):
        size -= 1
    copy = <Handed*>malloc(sizeof(Handed) + size)
    if copy != NULL:
        copy.next = NULL
        copy.number = request.handed
        copy.size = size
        memcpy(copy.line, line, size)
    return copy


cdef Handed* handed_take(Engine* engine) noexcept nogil:
    cdef Handed* first = NULL
    cdef Handed** end = &first
    cdef ClientRequest* request
    while engine.handed != NULL:
        request = engine.handed
        if request.is_done:
            # Its deadline came first.
            engine.handed = request.next_handed
            _leave(request)
            continue
        engine.next_id += 1
        request.handed = engine.next_id
        end[0] = _copy(request)
        if end[0] == NULL:
            # The rest is taken another time, or ends at its deadline.
            break
        end = &end[0].next
        engine.handed = request.next_handed
        request.next_handed = engine.taken
        engine.taken = request
    return first


cdef bint handed_answer(Engine* engine, uint64_t number, const uint8_t* reply, size_t size) noexcept nogil:
    cdef ClientRequest** place = &engine.taken
    cdef ClientRequest* request
    while place[0] != NULL and place[0].handed != number:
        place = &place[0].next_handed
    request = place[0]
    if request == NULL:
        return False
    place[0] = request.next_handed
    if not request.is_done:
        request_answer_text(request, <const char*>reply, size)
    _leave(request)
    return True


cdef void _forget(ClientRequest* request) noexcept nogil:
    # Only what has been answered is freed.
    if not request.is_done:
        request_answer(request, NOTHING)
    _leave(request)


cdef void handed_forget(Engine* engine) noexcept nogil:
    cdef ClientRequest* request
    while engine.handed != NULL:
        request = engine.handed
        engine.handed = request.next_handed
        _forget(request)
    while engine.taken != NULL:
        request = engine.taken
        engine.taken = request.next_handed
        _forget(request)


cdef list handed_lines(Handed* taken):
    cdef Handed* following
    lines = []
    while taken != NULL:
        lines.append((taken.number, (<const char*>taken.line)[:taken.size]))
        following = taken.next
        free(taken)
        taken = following
    return lines
