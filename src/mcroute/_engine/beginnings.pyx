"""A request waits before its plan starts while another request holds its key, in this engine or another thread's."""

from mcroute._engine.claims cimport claim_waits
from mcroute._engine.clock cimport engine_began
from mcroute._engine.holds cimport hold_waits
from mcroute._engine.multigets cimport multiget_begin, multiget_resume
from mcroute._engine.requests cimport request_walk_ended
from mcroute._engine.walks cimport walk_plan
from mcroute._protocol cimport CMD_GATS, REQ_OPEN, REQ_RESUMED


cdef void request_begin(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    # A request that waited for other engines has passed the earlier holds; newer holds belong to later requests.
    if engine.hold_count > 0 and request.hold == NULL and not engine.is_resuming and hold_waits(request):
        return
    if engine.claims != NULL and claim_waits(request):
        return
    if request.view.command <= CMD_GATS and (
            request.view.key_count > 1 or request.view.flags & (REQ_OPEN | REQ_RESUMED)):
        multiget_begin(request)
        return
    walk_plan(request)


cdef void requests_resume(Engine* engine) noexcept nogil:
    cdef ClientRequest* request
    while engine.released != NULL:
        request = engine.released
        engine.released = request.next_waiting
        if request.is_released:
            request.is_released = False
            # In the meantime its client may have disconnected, or read more.
            if request.is_stalled and not request.is_done:
                multiget_resume(request)
        elif not request.is_done:
            request_begin(request)
        request_walk_ended(request)


cdef void claims_resume(Engine* engine) noexcept nogil:
    cdef ClientRequest* waiting = engine.waiting
    cdef ClientRequest* request
    engine.waiting = NULL
    engine.last_waiting = NULL
    engine.is_resuming = True
    while waiting != NULL:
        request = waiting
        waiting = request.next_waiting
        engine.waiting_reads -= request.hold == NULL
        if not request.is_done:
            request_begin(request)
        request_walk_ended(request)
    engine.is_resuming = False


cdef void claims_end(Engine* engine) noexcept nogil:
    engine.is_ending = True
    claims_resume(engine)


cdef void engine_resume(Engine* engine, double now) noexcept nogil:
    if engine.released != NULL:
        engine_began(engine, now)
        requests_resume(engine)
