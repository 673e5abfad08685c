"""What is handed over keeps its place in its session: replies behind it wait."""

from libc.stdint cimport uintptr_t

from mcroute._engine.answers cimport request_answer_text, request_walk_ended

cdef void request_hand_over(Request* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    # Held until it is answered, as if a walk were under way.
    request.walks += 1
    request.next_handed = NULL
    if engine.handed == NULL:
        engine.handed = request
    else:
        engine.last_handed.next_handed = request
    engine.last_handed = request


cdef list handed_take(Engine* engine):
    cdef Request* request
    cdef const char* line
    taken = []
    while engine.handed != NULL:
        request = engine.handed
        engine.handed = request.next_handed
        request.next_handed = engine.taken
        engine.taken = request
        line = <const char*>request.block.data + request.offset
        taken.append((<uintptr_t>request, line[:request.view.line_size].rstrip(b"\r\n")))
    return taken


cdef void handed_forget(Engine* engine) noexcept nogil:
    cdef Request* request
    while engine.handed != NULL:
        request = engine.handed
        engine.handed = request.next_handed
        request_walk_ended(request)
    while engine.taken != NULL:
        request = engine.taken
        engine.taken = request.next_handed
        request_walk_ended(request)


cdef void handed_answer(Request* request, bytes reply):
    cdef Request** place = &request.plan.engine.taken
    while place[0] != request:
        place = &place[0].next_handed
    place[0] = request.next_handed
    if not request.is_done:
        request_answer_text(request, reply, len(reply))
    request_walk_ended(request)
