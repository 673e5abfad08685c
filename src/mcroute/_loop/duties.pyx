"""Errands about a loop's engine: its plan, its servers, and what its requests want of the interpreter."""

from libc.stdint cimport uint32_t

from mcroute._engine.bounds cimport Bounds, Said, engine_set_bounds, server_said
from mcroute._engine.connections cimport engine_began
from mcroute._engine.custom cimport routes_apply, routes_take
from mcroute._engine.handed cimport handed_answer, handed_take
from mcroute._engine.lifetimes cimport engine_install
from mcroute._engine.links cimport server_is_unlinked
from mcroute._engine.losses cimport Desyncs, desyncs_take
from mcroute._engine.plans cimport servers_admit
from mcroute._engine.trips cimport server_fail_over
from mcroute._engine.state cimport Handed, RouteEvent, RouteOrders
from mcroute._loop.errands cimport Meeting, meeting_await


cdef void plan_admit(Loop* loop, void* argument) noexcept nogil:
    cdef Admission* admission = <Admission*>argument
    admission.is_done = servers_admit(loop.engine, admission.terms, admission.count)
    if admission.is_done:
        loop.next_plan = admission.table


cdef void plan_install(Loop* loop, void* meeting) noexcept nogil:
    if loop.is_running:
        meeting_await(<Meeting*>meeting)
    if loop.next_plan != NULL:
        engine_install(loop.engine, loop.next_plan)
        loop.next_plan = NULL


cdef void plan_count_refs(Loop* loop, void* argument) noexcept nogil:
    cdef Usage* usage = <Usage*>argument
    usage.refs = usage.table.refs


cdef void server_see_if_idle(Loop* loop, void* argument) noexcept nogil:
    cdef Idleness* idleness = <Idleness*>argument
    idleness.is_idle = (idleness.server >= loop.engine.server_count
                        or server_is_unlinked(loop.engine.servers[idleness.server]))


cdef void server_forgive(Loop* loop, void* argument) noexcept nogil:
    loop.engine.servers[(<int*>argument)[0]].failures = 0


cdef void server_let_fail_over(Loop* loop, void* argument) noexcept nogil:
    engine_began(loop.engine, loop.now)
    server_fail_over(loop.engine.servers[(<int*>argument)[0]])


cdef void server_desyncs(Loop* loop, void* taken) noexcept nogil:
    desyncs_take(loop.engine, <Desyncs*>taken)


cdef void server_limit(Loop* loop, void* said) noexcept nogil:
    server_said(loop.engine, <Said*>said)


cdef void engine_limit(Loop* loop, void* bounds) noexcept nogil:
    engine_set_bounds(loop.engine, <Bounds*>bounds)


cdef void sessions_count(Loop* loop, void* argument) noexcept nogil:
    (<uint32_t*>argument)[0] = loop.sessions


cdef void route_events_take(Loop* loop, void* argument) noexcept nogil:
    (<RouteEvent**>argument)[0] = routes_take(loop.engine)


cdef void route_orders_apply(Loop* loop, void* argument) noexcept nogil:
    routes_apply(loop.engine, <RouteOrders*>argument, loop.now)


cdef void handed_lines_take(Loop* loop, void* argument) noexcept nogil:
    (<Handed**>argument)[0] = handed_take(loop.engine)


cdef void handed_reply(Loop* loop, void* argument) noexcept nogil:
    cdef Answer* answer = <Answer*>argument
    handed_answer(loop.engine, answer.number, answer.reply, answer.size)
