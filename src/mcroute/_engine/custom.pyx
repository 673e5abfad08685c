"""The engine's side of users' routes: events out, orders in.

The data path only appends events, so that it needs no interpreter while it parses bytes.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from mcroute._engine.beginnings cimport engine_resume
from mcroute._engine.blocks cimport Block, block_unref, block_ref, block_new, slice_unref
from mcroute._engine.clock cimport engine_began
from mcroute._engine.deadlines cimport deadline_remove, deadline_add, deadlines_next
from mcroute._engine.holds cimport hold_key
from mcroute._engine.state cimport (
    LOST, OVERLOADED, ROUTE_BEGINS, ROUTE_OVER, ClientRequest, Route, RouteOrder, walk_key,
)
from mcroute._engine.walks cimport walk_carry, walk_end, walk_free, walk_new, walk_run

cdef Slice NOTHING = Slice(NULL, 0, 0)


# ---- events ----

cdef RouteEvent* _event_new(Route* route, int number) noexcept nogil:
    cdef RouteEvent* event = <RouteEvent*>calloc(1, sizeof(RouteEvent))
    if event != NULL:
        event.serial = route.serial
        event.number = number
        event.outcome = LOST
    return event


cdef void _append(Engine* engine, RouteEvent* event) noexcept nogil:
    if engine.events == NULL:
        engine.events = event
    else:
        engine.last_event.next = event
    engine.last_event = event


cdef RouteEvent* routes_take(Engine* engine) noexcept nogil:
    cdef RouteEvent* events = engine.events
    engine.events = NULL
    return events


cdef void _free_event(RouteEvent* event) noexcept nogil:
    slice_unref(&event.piece)
    free(event)


# ---- a route's life ----

cdef Route* _route_new(Walk* walk, PlanNode* node) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef Engine* engine = request.plan.engine
    cdef Route* route = <Route*>calloc(1, sizeof(Route))
    if route == NULL:
        return NULL
    engine.next_route += 1
    route.serial = engine.next_route
    route.source = node.route
    route.child_count = node.child_count
    route.group = request.group
    route.command = request.view.command
    route.walk = walk
    route.deadline.at = request.deadline.at
    route.over = _event_new(route, ROUTE_OVER)
    if route.over == NULL:
        free(route)
        return NULL
    route.plan = request.plan
    route.plan.refs += 1
    engine.route_count += 1
    return route


cdef void _route_free(Route* route) noexcept nogil:
    free(route.over)
    route.plan.refs -= 1
    route.plan.engine.route_count -= 1
    free(route)


cdef void route_begins(Walk* walk, PlanNode* node) noexcept nogil:
    cdef Engine* engine = walk.request.plan.engine
    cdef Route* route = _route_new(walk, node) if engine.route_count < engine.routes_max else NULL
    cdef RouteEvent* event = _event_new(route, ROUTE_BEGINS) if route != NULL else NULL
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    if event == NULL:
        if route != NULL:
            _route_free(route)
        walk_end(walk, OVERLOADED, NOTHING)
        return
    walk.route = route
    deadline_add(&engine.routes, &route.deadline)
    event.route = route
    event.piece = Slice(walk.request.block, key - walk.request.block.data, size)
    block_ref(event.piece.block)
    _append(engine, event)
    # The route begins at the end of the turn: later requests of this turn must not overtake a write.
    hold_key(walk.request)


cdef void route_child_ends(Walk* walk, int number, int outcome, Slice reply) noexcept nogil:
    cdef RouteEvent* event
    walk.children_asked -= 1
    if walk.route == NULL:
        if walk.children_asked == 0:
            walk_free(walk)
        return
    event = _event_new(walk.route, number)
    if event == NULL:
        # The route waits until the request's deadline.
        return
    event.outcome = outcome
    event.piece = reply
    if reply.block != NULL:
        block_ref(reply.block)
    _append(walk.request.plan.engine, event)


cdef void _end_walk(Route* route, int outcome, Slice reply) noexcept nogil:
    """Carries the outcome to the walk above; the route's walk is freed with the last of its children."""
    cdef Walk* walk = route.walk
    deadline_remove(&route.plan.engine.routes, &route.deadline)
    route.walk = NULL
    walk.route = NULL
    # The children may end while the walk above goes on.
    walk.children_asked += 1
    walk_carry(walk, walk.parent, outcome, reply)
    walk.children_asked -= 1
    if walk.children_asked == 0:
        walk_free(walk)


cdef double routes_check(Engine* engine, double now) noexcept nogil:
    cdef Route* route
    while deadlines_next(&engine.routes) <= now:
        route = <Route*>engine.routes.first
        _append(engine, route.over)
        route.over = NULL
        _end_walk(route, LOST, NOTHING)
    return deadlines_next(&engine.routes)


cdef void routes_end(Engine* engine) noexcept nogil:
    cdef RouteEvent* event
    while engine.routes.first != NULL:
        _end_walk(<Route*>engine.routes.first, LOST, NOTHING)
    while engine.events != NULL:
        event = engine.events
        engine.events = event.next
        if event.route != NULL:
            _route_free(event.route)
        _free_event(event)


# ---- orders ----

cdef void _ask(RouteOrder* order) noexcept nogil:
    cdef Walk* walk = order.route.walk
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Walk* child = walk_new(walk.request, walk, walk.request.plan.children[node.children + order.child])
    walk.children_asked += 1
    if child == NULL:
        route_child_ends(walk, order.number, OVERLOADED, NOTHING)
        return
    child.number = order.number
    walk_run(child)


cdef void _end(RouteOrder* order) noexcept nogil:
    cdef Block* block
    if order.size == 0:
        _end_walk(order.route, order.outcome, NOTHING)
        return
    block = block_new(&order.route.plan.engine.pool, order.size)
    if block == NULL:
        _end_walk(order.route, OVERLOADED, NOTHING)
        return
    memcpy(block.data, order.data, order.size)
    block.fill = order.size
    _end_walk(order.route, order.outcome, Slice(block, 0, order.size))
    block_unref(block)


cdef void _carry_out(RouteOrder* order) noexcept nogil:
    """Frees the order; the order that ends a route is a part of the Route and freed with it."""
    cdef bint is_over = order.route.walk == NULL
    if order.child >= 0:
        if not is_over:
            _ask(order)
        free(order)
        return
    if not is_over:
        _end(order)
    _route_free(order.route)


cdef void routes_apply(Engine* engine, RouteOrders* orders, double now) noexcept nogil:
    cdef RouteOrder* order
    cdef RouteEvent* event
    if orders.first != NULL:
        engine_began(engine, now)
    while orders.first != NULL:
        order = orders.first
        orders.first = order.next
        _carry_out(order)
    orders.last = NULL
    while orders.done != NULL:
        event = orders.done
        orders.done = event.next
        _free_event(event)
    engine_resume(engine, now)
