"""The interpreter's side of users' routes: reads nothing of the engine but its events and their routes."""

cimport cython
from libc.math cimport INFINITY
from libc.stdlib cimport malloc

import logging

from mcroute._engine.blocks cimport Slice
from mcroute._engine.lines cimport plain_line
from mcroute._engine.state cimport LOST, REFUSED_BY_SERVER, ROUTE_OVER, Route, RouteOrder

from mcroute.policy.nodes import Group, Outcome
from mcroute.policy.steps import Ask, AskAll, Wait

log = logging.getLogger("mcroute")

FAILED = b"SERVER_ERROR a route failed\r\n"


# ---- values for generators ----

cdef class RouteRequest:
    """A request as a route receives it: `key` in bytes and `group`, a `policy.nodes.Group`."""

    cdef readonly bytes key
    cdef readonly object group

    def __repr__(self):
        return f"<{self.group.name} {self.key!r}>"


cdef class RouteReply:
    """A child's reply: `outcome`, a `policy.nodes.Outcome`, and `data`, the server's bytes (empty without a reply)."""

    cdef readonly object outcome
    cdef readonly bytes data

    def __repr__(self):
        return f"<Reply {self.outcome.name} {self.data[:60]!r}>"


cdef bytes _bytes(Slice piece):
    if piece.block == NULL:
        return b""
    return (<const char*>piece.block.data + piece.offset)[:piece.size]


cdef RouteRequest _request_of(RouteEvent* event):
    cdef RouteRequest request = RouteRequest.__new__(RouteRequest)
    request.key = _bytes(event.piece)
    request.group = Group(event.route.group)
    return request


cdef RouteReply _reply_of(RouteEvent* event):
    cdef RouteReply reply = RouteReply.__new__(RouteReply)
    reply.outcome = Outcome(event.outcome)
    reply.data = _bytes(event.piece)
    return reply


# ---- generators ----

# The engine closes running generators when it is freed: the garbage collector must not clear them before.
@cython.no_gc
cdef class _Run:
    """One generator, from its first step to its return."""

    cdef RouteRunner runner
    cdef Route* route
    cdef object source          # the user's object
    cdef object steps           # the generator
    cdef int asked              # children, so far
    cdef dict places            # number of a child waited for -> its place in `replies`
    cdef list replies
    cdef bint is_single         # the generator is sent one reply, not a tuple
    cdef int need               # good replies before it goes on
    cdef double due             # time at which its Wait ends

    cdef take(self, RouteEvent* event):
        self.replies[self.places.pop(event.number)] = _reply_of(event)
        self.need -= event.outcome < REFUSED_BY_SERVER
        if self.need <= 0 or not self.places:
            self.places = {}
            self.resume(self.replies[0] if self.is_single else tuple(self.replies))

    cdef resume(self, value):
        """Sends the generator `value`, and carries out the step that it yields."""
        try:
            step = self.steps.send(value)
            self.do(step)
        except StopIteration as stop:
            self.finish(stop.value)
        except Exception:
            self.fail()

    cdef do(self, step):
        if isinstance(step, Ask):
            self.ask((step.child,), 1, True)
        elif isinstance(step, AskAll):
            self.ask(step.children, step.need, False)
        elif isinstance(step, Wait):
            self.due = self.runner.now + step.seconds
            self.runner.due = min(self.runner.due, self.due)
        else:
            raise TypeError(f"steps() yielded {step!r}, which is no Ask, AskAll or Wait")

    cdef ask(self, tuple children, int need, bint is_single):
        cdef int child, i
        if not children:
            raise ValueError("steps() asked no child")
        for child in children:
            if not 0 <= child < self.route.child_count:
                raise IndexError(f"steps() asked child {child} of {self.route.child_count}")
        self.is_single = is_single
        self.need = need
        self.replies = [None] * len(children)
        self.places = {self.asked + i: i for i in range(len(children))}
        for child in children:
            _order_child(self.runner, self.route, child, self.asked)
            self.asked += 1

    cdef finish(self, result):
        cdef int outcome
        if isinstance(result, RouteReply):
            self.end(result.outcome, result.data)
            return
        outcome = int(result) if isinstance(result, Outcome) else -1
        if outcome >= REFUSED_BY_SERVER or (outcome >= 0 and plain_line(self.route.command, outcome) != NULL):
            self.end(outcome, b"")
            return
        log.error("the route %r returned %r: no reply can be made of it", self.source, result)
        self.end(REFUSED_BY_SERVER, FAILED)

    cdef fail(self):
        log.exception("the route %r failed", self.source)
        self.end(REFUSED_BY_SERVER, FAILED)

    cdef stop(self):
        """Closes the generator, because its request is over; this runs its `finally` blocks."""
        try:
            if self.steps is not None:
                self.steps.close()
        except Exception:
            log.exception("the route %r failed", self.source)
        self.end(LOST, b"")

    cdef end(self, int outcome, bytes data):
        del self.runner.running[self.route.serial]
        _order_end(self.runner, self.route, outcome, data)


cdef _begin(RouteRunner runner, RouteEvent* event):
    cdef _Run run = _Run.__new__(_Run)
    run.runner = runner
    run.route = event.route
    run.source = <object>event.route.source
    run.due = INFINITY
    run.places = {}
    runner.running[event.serial] = run
    try:
        run.steps = run.source.steps(_request_of(event))
    except Exception:
        run.fail()
        return
    run.resume(None)


# ---- orders ----

cdef void _append(RouteOrders* orders, RouteOrder* order) noexcept:
    order.next = NULL
    if orders.first == NULL:
        orders.first = order
    else:
        orders.last.next = order
    orders.last = order


cdef _order_child(RouteRunner runner, Route* route, int child, int number):
    cdef RouteOrder* order = <RouteOrder*>malloc(sizeof(RouteOrder))
    if order == NULL:
        raise MemoryError
    order.route = route
    order.child = child
    order.number = number
    _append(&runner.given, order)


cdef _order_end(RouteRunner runner, Route* route, int outcome, bytes data):
    cdef RouteOrder* order = &route.end
    order.route = route
    order.child = -1
    order.outcome = outcome
    order.data = data
    order.size = len(data)
    _append(&runner.given, order)
    runner.order_data.append(data)


# ---- the runner ----

cdef RouteEvent* _take(RouteRunner runner) noexcept:
    """Takes the next event; the engine gets it back with the orders."""
    cdef RouteEvent* event = runner.pending
    if event != NULL:
        runner.pending = event.next
        event.next = runner.given.done
        runner.given.done = event
    return event


cdef _deliver(RouteRunner runner, RouteEvent* event):
    cdef _Run run
    if event.route != NULL:
        _begin(runner, event)
        return
    run = runner.running.get(event.serial)
    if run is None:
        return
    if event.number == ROUTE_OVER:
        run.stop()
    elif event.number in run.places:
        run.take(event)


cdef _resume(RouteRunner runner):
    """Resumes the generators whose Wait has ended."""
    cdef _Run run
    cdef double due = INFINITY
    for run in list(runner.running.values()):
        if run.due <= runner.now:
            run.due = INFINITY
            run.resume(None)
    for run in runner.running.values():
        due = min(due, run.due)
    runner.due = due


@cython.no_gc
cdef class RouteRunner:
    """Runs the generators of one engine's routes: events go in, orders come out."""

    def __cinit__(self):
        self.running = {}
        self.order_data = []
        self.due = INFINITY

    cdef void feed(self, RouteEvent* events) noexcept:
        if events == NULL:
            return
        if self.pending == NULL:
            self.pending = events
        else:
            self.last_pending.next = events
        while events.next != NULL:
            events = events.next
        self.last_pending = events

    cdef step(self, double now):
        cdef RouteEvent* event
        self.now = now
        if self.given.first == NULL:
            self.order_data.clear()
        event = _take(self)
        while event != NULL:
            _deliver(self, event)
            event = _take(self)
        if self.due <= now:
            _resume(self)

    cdef RouteOrders* orders(self) noexcept:
        return &self.given

    cdef double next_due(self) noexcept:
        return self.now if self.pending != NULL else self.due

    cdef close(self):
        cdef RouteEvent* event = _take(self)
        cdef _Run run
        while event != NULL:
            if event.route != NULL:
                _order_end(self, event.route, LOST, b"")
            event = _take(self)
        for run in list(self.running.values()):
            run.stop()
