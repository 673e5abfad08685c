"""Requests in flight, in the order of their sessions."""

from libc.stdint cimport uint32_t, uintptr_t
from libc.stdlib cimport malloc
from libc.string cimport memset

from mcroute._engine.blocks cimport block_unref, slice_unref
from mcroute._engine.claims cimport claim_release
from mcroute._engine.counters cimport counter_add
from mcroute._engine.deadlines cimport deadline_add
from mcroute._engine.holds cimport hold_release
from mcroute._hashing.caching cimport prefetch_all


cdef void _append(Session* session, ClientRequest* request) noexcept nogil:
    if session.tail == NULL:
        session.head = request
    else:
        session.tail.next = request
    session.tail = request
    session.in_flight += 1


cdef inline ClientRequest* _allocate(PlanTable* plan) noexcept nogil:
    cdef Engine* engine = plan.engine
    cdef ClientRequest* request = engine.spare_requests
    if request != NULL:
        engine.spare_requests = request.next
        prefetch_all(<uintptr_t>request.next, sizeof(ClientRequest))
    else:
        request = <ClientRequest*>malloc(sizeof(ClientRequest))
        if request == NULL:
            return NULL
    memset(request, 0, sizeof(ClientRequest))
    request.deadline.at = engine.now + plan.deadline
    request.plan = plan
    plan.refs += 1
    return request


cdef ClientRequest* request_new(Engine* engine, Session* session) noexcept nogil:
    cdef ClientRequest* request = _allocate(engine.plan)
    if request == NULL:
        return NULL
    request.session = session
    if session != NULL:
        _append(session, request)
    deadline_add(&engine.requests, &request.deadline)
    counter_add(&engine.counts.requests, 1)
    return request


cdef ClientRequest* request_of_engine(PlanTable* plan) noexcept nogil:
    return _allocate(plan)


cdef void request_release(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef uint32_t i
    if request.keys != NULL:
        for i in range(request.key_count):
            if request.keys[i].block != NULL:
                block_unref(request.keys[i].block)
        block_unref(request.key_block)
    if request.block != NULL:
        block_unref(request.block)
    slice_unref(&request.reply)
    request.plan.refs -= 1
    request.next = engine.spare_requests
    engine.spare_requests = request


cdef void request_drop_reply(ClientRequest* request) noexcept nogil:
    cdef uint32_t i
    slice_unref(&request.reply)
    request.reply.block = NULL
    for i in range(request.key_count):
        if request.keys[i].block != NULL:
            block_unref(request.keys[i].block)
            request.keys[i].block = NULL


cdef void request_walk_ended(ClientRequest* request) noexcept nogil:
    request.walks -= 1
    if request.walks == 0 and request.claim != 0:
        claim_release(request)
    if request.walks == 0 and request.hold != NULL:
        hold_release(request)
    if request.walks == 0 and request.is_answered:
        request_release(request)


cdef void request_taken(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    engine.finished = request.next
    if request.call != 0:
        engine.calls -= 1
    request.is_answered = True
    if request.walks == 0:
        request_release(request)


cdef void call_discard(ClientRequest* request) noexcept nogil:
    # A finished call stays in the list; calls_take skips calls without a number.
    request.call = 0
    request.plan.engine.calls -= 1
