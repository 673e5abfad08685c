"""Runs users' generators: `steps` is sent what its children came to, and yields what to do next.

The data path only notes events; they are told when the driver next asks what there is to do, so that no
interpreter is needed while bytes are parsed. The engine keeps the deadline: a generator whose request is over
is closed.
"""

cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import logging

from mcroute._engine.blocks cimport Block, block_drop, block_keep, block_new, slice_drop
from mcroute._engine.lines cimport plain_line
from mcroute._engine.state cimport LOST, OVERLOADED, REFUSED_BY_SERVER, PlanNode, RouteEvent
from mcroute._engine.holds cimport hold_key
from mcroute._engine.walks cimport walk_carry, walk_free, walk_key, walk_new, walk_run

from mcroute.policy.nodes import Group, Outcome
from mcroute.policy.steps import Ask, AskAll, Wait

log = logging.getLogger("mcroute")

cdef Slice NOTHING = Slice(NULL, 0, 0)
FAILED = b"SERVER_ERROR a route failed\r\n"


# ---- events ----

cdef bint _note(Walk* walk, int number, int outcome, Slice reply) noexcept nogil:
    cdef Engine* engine = walk.request.plan.engine
    cdef RouteEvent* event = <RouteEvent*>malloc(sizeof(RouteEvent))
    if event == NULL:
        return False
    event.next = NULL
    event.walk = walk
    event.number = number
    event.outcome = outcome
    event.reply = reply
    if reply.block != NULL:
        block_keep(reply.block)
    if engine.events == NULL:
        engine.events = event
    else:
        engine.last_event.next = event
    engine.last_event = event
    return True


cdef RouteEvent* _take_event(Engine* engine) noexcept nogil:
    cdef RouteEvent* event = engine.events
    if event != NULL:
        engine.events = event.next
    return event


cdef void _free_event(RouteEvent* event) noexcept nogil:
    slice_drop(&event.reply)
    free(event)


cdef void route_begin(Walk* walk) noexcept nogil:
    cdef Engine* engine = walk.request.plan.engine
    walk.previous = NULL
    walk.spare = engine.routes
    if engine.routes != NULL:
        engine.routes.previous = walk
    engine.routes = walk
    # It begins at the end of the turn: what comes later in this turn must not overtake a write.
    hold_key(walk)
    if not _note(walk, -1, LOST, NOTHING):
        _end_early(walk, OVERLOADED, NOTHING)


cdef void route_child_ended(Walk* walk, int number, int outcome, Slice reply) noexcept nogil:
    walk.children_asked -= 1
    if walk.cursor == 0:
        # Without memory for the event the route waits until the request's deadline.
        _note(walk, number, outcome, reply)
    elif walk.children_asked == 0:
        walk_free(walk)


cdef void _forget(Walk* walk) noexcept nogil:
    if walk.previous == NULL:
        walk.request.plan.engine.routes = walk.spare
    else:
        walk.previous.spare = walk.spare
    if walk.spare != NULL:
        walk.spare.previous = walk.previous


cdef void _ask_child(Walk* walk, int child, int number) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Walk* asked = walk_new(walk.request, walk, walk.request.plan.children[node.children + child])
    walk.children_asked += 1
    if asked == NULL:
        route_child_ended(walk, number, OVERLOADED, NOTHING)
        return
    asked.number = number
    walk_run(asked)


cdef void _end_early(Walk* walk, int outcome, Slice reply) noexcept nogil:
    """The walk is freed with the last of its children."""
    walk.cursor = 1
    _forget(walk)
    walk_carry(walk, walk.parent, outcome, reply)
    if walk.children_asked == 0:
        walk_free(walk)


cdef void routes_abandon(Engine* engine) noexcept nogil:
    while engine.routes != NULL:
        _end_early(engine.routes, LOST, NOTHING)
    while engine.events != NULL:
        _free_event(_take_event(engine))


# ---- what a generator sees ----

cdef class Request:
    """What a route is told of a request: `key` in bytes and `group`, a `policy.nodes.Group`."""

    cdef readonly bytes key
    cdef readonly object group

    def __repr__(self):
        return f"<{self.group.name} {self.key!r}>"


cdef class Reply:
    """What a child came to: `outcome`, and `data`, the bytes as the server sent them (none if none did)."""

    cdef readonly object outcome
    cdef readonly bytes data

    def __repr__(self):
        return f"<Reply {self.outcome.name} {self.data[:60]!r}>"


cdef Request _request_of(Walk* walk):
    cdef Request request = Request.__new__(Request)
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    request.key = (<const char*>key)[:size]
    request.group = Group(walk.request.group)
    return request


cdef Reply _reply_of(int outcome, Slice piece):
    cdef Reply reply = Reply.__new__(Reply)
    reply.outcome = Outcome(outcome)
    reply.data = b""
    if piece.block != NULL:
        reply.data = (<const char*>piece.block.data + piece.offset)[:piece.size]
    return reply


# ---- generators ----

cdef void _end(Walk* walk, int outcome, bytes data):
    cdef Block* block
    cdef const uint8_t* source = data
    if not data:
        _end_early(walk, outcome, NOTHING)
        return
    block = block_new(&walk.request.plan.engine.pool, len(data))
    if block == NULL:
        _end_early(walk, OVERLOADED, NOTHING)
        return
    memcpy(block.data, source, len(data))
    block.fill = len(data)
    _end_early(walk, outcome, Slice(block, 0, len(data)))
    block_drop(block)


# The engine stops what is under way when it goes, whoever collects it: nothing of this may be emptied before.
@cython.no_gc
cdef class _Run:
    """One generator, from its first step to its return."""

    cdef RouteRunner runner
    cdef Walk* walk
    cdef object route
    cdef object steps           # the generator
    cdef int asked              # children, so far
    cdef dict places            # number of a child waited for -> its place in `replies`
    cdef list replies
    cdef bint is_single         # the generator is sent one reply, not a tuple
    cdef int need               # good replies before it goes on
    cdef double due             # when it has waited long enough

    cdef take(self, RouteEvent* event):
        self.replies[self.places.pop(event.number)] = _reply_of(event.outcome, event.reply)
        self.need -= event.outcome < REFUSED_BY_SERVER
        if self.need <= 0 or not self.places:
            self.places = {}
            self.go_on(self.replies[0] if self.is_single else tuple(self.replies))

    cdef go_on(self, value):
        """Sends the generator what it waited for, and does what it says next."""
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
            self.due = self.runner.engine.now + step.seconds
            self.runner.engine.routes_due = min(self.runner.engine.routes_due, self.due)
            self.runner.engine.next_check = min(self.runner.engine.next_check, self.due)
        else:
            raise TypeError(f"steps() yielded {step!r}, which is no Ask, AskAll or Wait")

    cdef ask(self, tuple children, int need, bint is_single):
        cdef int child, i
        cdef int count = self.walk.request.plan.nodes[self.walk.node].child_count
        if not children:
            raise ValueError("steps() asked no child")
        for child in children:
            if not 0 <= child < count:
                raise IndexError(f"steps() asked child {child} of {count}")
        self.is_single = is_single
        self.need = need
        self.replies = [None] * len(children)
        self.places = {self.asked + i: i for i in range(len(children))}
        for child in children:
            self.asked += 1
            _ask_child(self.walk, child, self.asked - 1)

    cdef finish(self, result):
        cdef int outcome
        if isinstance(result, Reply):
            self.leave(result.outcome, result.data)
            return
        outcome = int(result) if isinstance(result, Outcome) else -1
        if outcome >= REFUSED_BY_SERVER or (
            outcome >= 0 and plain_line(self.walk.request.view.command, outcome) != NULL
        ):
            self.leave(outcome, b"")
            return
        log.error("the route %r returned %r: no reply can be made of it", self.route, result)
        self.leave(REFUSED_BY_SERVER, FAILED)

    cdef fail(self):
        log.exception("the route %r failed", self.route)
        self.leave(REFUSED_BY_SERVER, FAILED)

    cdef stop(self):
        """Its request is over: the generator is closed, which runs its `finally` blocks."""
        try:
            if self.steps is not None:
                self.steps.close()
        except Exception:
            log.exception("the route %r failed", self.route)
        self.leave(LOST, b"")

    cdef leave(self, int outcome, bytes data):
        del self.runner.running[<uintptr_t>self.walk]
        _end(self.walk, outcome, data)


cdef _begin(RouteRunner runner, Walk* walk):
    cdef _Run run = _Run.__new__(_Run)
    run.runner = runner
    run.walk = walk
    run.route = <object>walk.request.plan.nodes[walk.node].route
    run.due = INFINITY
    run.places = {}
    runner.running[<uintptr_t>walk] = run
    try:
        run.steps = run.route.steps(_request_of(walk))
    except Exception:
        run.fail()
        return
    run.go_on(None)


@cython.no_gc
cdef class RouteRunner:
    def __cinit__(self):
        self.running = {}

    cdef run(self):
        cdef RouteEvent* event
        cdef _Run run
        while True:
            event = _take_event(self.engine)
            if event == NULL:
                return
            try:
                if event.number < 0:
                    _begin(self, event.walk)
                else:
                    run = self.running.get(<uintptr_t>event.walk)
                    if run is not None and event.number in run.places:
                        run.take(event)
            finally:
                _free_event(event)

    cdef check(self):
        cdef _Run run
        cdef double due = INFINITY
        for run in list(self.running.values()):
            if run.walk.request.deadline <= self.engine.now:
                run.stop()
            elif run.due <= self.engine.now:
                run.due = INFINITY
                run.go_on(None)
        for run in self.running.values():
            due = min(due, run.due, run.walk.request.deadline)
        self.engine.routes_due = due

    cdef abandon(self):
        cdef _Run run
        for run in list(self.running.values()):
            run.stop()
