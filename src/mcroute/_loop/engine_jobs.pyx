"""Jobs on a loop's engine: its plan, its servers, its requests that need the interpreter."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.bounds cimport Bounds, ValueLimits, engine_set_bounds, server_set_value_limits
from mcroute._engine.claims cimport claims_close, claims_open
from mcroute._engine.clock cimport engine_began, engine_find_shortest
from mcroute._engine.custom cimport routes_apply, routes_take
from mcroute._engine.deadlines cimport Deadline
from mcroute._engine.deferred cimport deferred_answer, deferred_take
from mcroute._engine.lifetimes cimport engine_install
from mcroute._engine.links cimport server_is_unlinked
from mcroute._engine.losses cimport Desyncs, desyncs_take
from mcroute._engine.plans cimport servers_admit
from mcroute._engine.refill_wishes cimport refill_feed
from mcroute._engine.trips cimport server_fail_over
from mcroute._engine.state cimport (
    GROUP_READ_TOUCH, ClientRequest, Engine, Deferred, PlanTable, RouteEvent, RouteOrders, Server,
)
from mcroute._engine.server_words cimport mcroute_load
from mcroute._loop.jobs cimport Barrier, barrier_await
from mcroute.runtime.links cimport Upstream
from mcroute.runtime.sharing cimport shared_hedge_after


cdef void plan_admit(Loop* loop, void* argument) noexcept nogil:
    cdef Admission* admission = <Admission*>argument
    admission.is_done = servers_admit(loop.engine, admission.servers, admission.count)
    if admission.is_done:
        loop.next_plan = admission.table


cdef bint _has_writes(Engine* engine, PlanTable* plan) noexcept nogil:
    """Whether a write that began on this plan is in flight. A write that timed out is a ghost: claims count it."""
    cdef Deadline* each = engine.requests.first
    if plan.refs == (plan == engine.plan):
        return False
    while each != NULL:
        if (<ClientRequest*>each).plan == plan and (<ClientRequest*>each).group >= GROUP_READ_TOUCH:
            return True
        each = each.next
    return False


cdef void plan_install(Loop* loop, void* barrier) noexcept nogil:
    cdef Engine* engine = loop.engine
    cdef PlanTable* before = engine.plan
    if (engine.claims != NULL and before != NULL and loop.next_plan != NULL and loop.next_plan.has_copies
            and not before.has_copies and _has_writes(engine, before)):
        # Closed before any loop can begin a write on the next plan.
        claims_close(engine.claims)
        before.next_unsettled = loop.unsettled
        loop.unsettled = before
    if loop.is_running:
        barrier_await(<Barrier*>barrier)
    if loop.next_plan != NULL:
        engine_install(loop.engine, loop.next_plan)
        loop.next_plan = NULL


cdef void plans_settle(Loop* loop) noexcept nogil:
    cdef PlanTable** at = &loop.unsettled
    while at[0] != NULL:
        if _has_writes(loop.engine, at[0]):
            at = &at[0].next_unsettled
            continue
        at[0] = at[0].next_unsettled
        claims_open(loop.engine.claims)
        loop.links.wakes_others = True


cdef void plans_settle_all(Loop* loop) noexcept nogil:
    while loop.unsettled != NULL:
        loop.unsettled = loop.unsettled.next_unsettled
        claims_open(loop.engine.claims)
        loop.links.wakes_others = True


cdef void plan_count_refs(Loop* loop, void* argument) noexcept nogil:
    cdef Usage* usage = <Usage*>argument
    # Settled first: the caller may free a plan without requests.
    plans_settle(loop)
    usage.refs = usage.table.refs


cdef void server_see_if_idle(Loop* loop, void* argument) noexcept nogil:
    cdef Idleness* idleness = <Idleness*>argument
    idleness.is_idle = (idleness.server >= loop.engine.server_count
                        or server_is_unlinked(loop.engine.servers[idleness.server]))


cdef void servers_fail_over(Loop* loop) noexcept nogil:
    cdef Upstream* upstream
    cdef uint64_t ejections
    cdef int i
    engine_began(loop.engine, loop.now)
    for i in range(loop.links.upstream_count):
        upstream = loop.links.upstreams[i]
        if upstream == NULL:
            continue
        ejections = mcroute_load(&upstream.shared.ejections)
        if ejections != upstream.ejections_seen:
            upstream.ejections_seen = ejections
            server_fail_over(loop.engine.servers[i])


cdef void servers_limit(Loop* loop) noexcept nogil:
    cdef ValueLimits limits
    cdef Server* server
    cdef uint64_t known
    cdef int i
    for i in range(loop.links.upstream_count):
        if loop.links.upstreams[i] == NULL:
            continue
        known = mcroute_load(&loop.links.upstreams[i].shared.item_size_max)
        limits = ValueLimits(i, known >> 8, <uint32_t>(known & 255))
        server = loop.engine.servers[i]
        server.hedge_after = shared_hedge_after(loop.links.upstreams[i].shared)
        if limits.size > 0 and (
                limits.size != server.item_size_max or (limits.flags_size > 4) != server.has_wide_flags):
            server_set_value_limits(loop.engine, &limits)
    engine_find_shortest(loop.engine)


cdef void server_desyncs(Loop* loop, void* taken) noexcept nogil:
    desyncs_take(loop.engine, <Desyncs*>taken)


cdef void engine_limit(Loop* loop, void* bounds) noexcept nogil:
    engine_set_bounds(loop.engine, <Bounds*>bounds)


cdef void sessions_count(Loop* loop, void* argument) noexcept nogil:
    (<uint32_t*>argument)[0] = loop.sessions


cdef void route_events_take(Loop* loop, void* argument) noexcept nogil:
    (<RouteEvent**>argument)[0] = routes_take(loop.engine)


cdef void route_orders_apply(Loop* loop, void* argument) noexcept nogil:
    routes_apply(loop.engine, <RouteOrders*>argument, loop.now)


cdef void deferred_lines_take(Loop* loop, void* argument) noexcept nogil:
    (<Deferred**>argument)[0] = deferred_take(loop.engine)


cdef void deferred_lines_answer(Loop* loop, void* argument) noexcept nogil:
    cdef Answer* answer = <Answer*>argument
    deferred_answer(loop.engine, answer.number, answer.reply, answer.size)


cdef void keys_refill(Loop* loop, void* argument) noexcept nogil:
    cdef Feed* feed = <Feed*>argument
    cdef const uint8_t* key = feed.keys
    if max(feed.source, feed.target) >= loop.engine.server_count:
        return
    engine_began(loop.engine, loop.now)
    while feed.accepted < feed.count:
        if not refill_feed(loop.engine, key + 1, key[0], feed.are_base64, feed.source, feed.target):
            return
        key += 1 + key[0]
        feed.accepted += 1


cdef void wall_set(Loop* loop, void* argument) noexcept nogil:
    loop.engine.refills.wall_offset = (<double*>argument)[0]
