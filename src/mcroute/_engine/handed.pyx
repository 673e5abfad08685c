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
        line = <const char*>request.block.data + request.offset
        taken.append((<uintptr_t>request, line[:request.view.line_size].rstrip(b"\r\n")))
    return taken


cdef void handed_answer(Request* request, bytes reply):
    if not request.is_done:
        request_answer_text(request, reply, len(reply))
    request_walk_ended(request)
