# cython: language_level=3, freethreading_compatible=True
"""An engine and its users' routes apart, as if each had a thread of its own: custom.pxd step by step."""

from cpython.pythread cimport (
    WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock,
)
from libc.stddef cimport size_t
from libc.string cimport memcpy, strlen

from mcroute._engine.connections cimport conn_buffer, conn_received, conn_sent
from mcroute._engine.custom cimport routes_apply, routes_take
from mcroute._engine.engine cimport Engine
from mcroute._engine.overdue cimport engine_check
from mcroute._engine.state cimport Conn, Engine as EngineState, Link, RouteEvent, RouteOrders


def set_routes_max(Engine engine not None, unsigned int count):
    """Routes under way at most."""
    engine.state.routes_max = count


def routes_under_way(Engine engine not None):
    """Routes that the runner has not ended, or that it has not been told of."""
    return engine.state.route_count


def memory_in_use(Engine engine not None):
    """Bytes of the blocks that the engine holds."""
    return engine.state.pool.used_bytes


def check(Engine engine not None, double now):
    """Time passes for the engine alone."""
    with nogil:
        engine_check(engine.state, now)


def take(Engine engine not None):
    """Feeds the runner what has happened. Returns the numbers of these events."""
    cdef RouteEvent* events
    cdef RouteEvent* event
    with nogil:
        events = routes_take(engine.state)
    numbers = []
    event = events
    while event != NULL:
        numbers.append(event.number)
        event = event.next
    engine.routes.feed(events)
    return numbers


def step(Engine engine not None, double now):
    engine.routes.step(now)


def next_due(Engine engine not None):
    return engine.routes.next_due()


def apply(Engine engine not None, double now):
    cdef RouteOrders* orders = engine.routes.orders()
    with nogil:
        routes_apply(engine.state, orders, now)


# ---- the engine in a thread of its own ----

cdef void _receive(Conn* conn, const char* text, double now) noexcept nogil:
    cdef size_t room = 0
    cdef void* buffer = conn_buffer(conn, &room)
    if buffer != NULL:
        memcpy(buffer, text, strlen(text))
        conn_received(conn, strlen(text), now)


cdef void _turn(EngineState* engine, Conn* client, Conn* link, double now) noexcept nogil:
    """A write, and reads behind it; the server refuses all; whatever is to be sent is sent."""
    cdef unsigned int i
    _receive(client, b"set k 0 0 1\r\nx\r\nget k\r\nget a b\r\n", now)
    while (<Link*>link).count > 0 and not link.is_broken:
        _receive(link, b"SERVER_ERROR no\r\n", now)
    engine_check(engine, now)
    for i in range(engine.dirty_count):
        if engine.dirty[i] != NULL:
            engine.dirty[i].is_dirty = False
    engine.dirty_count = 0
    conn_sent(link, link.out.bytes)
    conn_sent(client, client.out.bytes)


cdef class Loop:
    """Turns of a millisecond each, without the GIL, as fast as they come; `take` and `apply` come in between."""

    cdef Engine engine
    cdef Conn* client
    cdef Conn* link
    cdef PyThread_type_lock gate        # without it, a thread could wait long for the turn's end
    cdef PyThread_type_lock turn
    cdef bint is_stopping
    cdef readonly double now

    def __cinit__(self, Engine engine not None, int client, int link, double now):
        self.engine = engine
        self.client = engine.conn(client)
        self.link = engine.conn(link)
        self.now = now
        self.gate = PyThread_allocate_lock()
        self.turn = PyThread_allocate_lock()

    def __dealloc__(self):
        PyThread_free_lock(self.gate)
        PyThread_free_lock(self.turn)

    cdef void enter(self) noexcept nogil:
        PyThread_acquire_lock(self.gate, WAIT_LOCK)
        PyThread_acquire_lock(self.turn, WAIT_LOCK)
        PyThread_release_lock(self.gate)

    cdef void leave(self) noexcept nogil:
        PyThread_release_lock(self.turn)

    def run(self):
        cdef bint is_stopping = False
        with nogil:
            while not is_stopping:
                self.enter()
                self.now += 0.001
                _turn(self.engine.state, self.client, self.link, self.now)
                is_stopping = self.is_stopping
                self.leave()

    def take(self):
        """Feeds the runner what has happened. Returns the time."""
        cdef RouteEvent* events
        cdef double now
        with nogil:
            self.enter()
            events = routes_take(self.engine.state)
            now = self.now
            self.leave()
        self.engine.routes.feed(events)
        return now

    def apply(self):
        cdef RouteOrders* orders = self.engine.routes.orders()
        with nogil:
            self.enter()
            routes_apply(self.engine.state, orders, self.now)
            self.leave()

    def stop(self):
        with nogil:
            self.enter()
            self.is_stopping = True
            self.leave()
