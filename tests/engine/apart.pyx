# cython: language_level=3
"""An engine and its users' routes apart, as if each had a thread of its own: custom.pxd step by step."""

from mcroute._engine.connections cimport engine_check
from mcroute._engine.custom cimport routes_apply, routes_take
from mcroute._engine.engine cimport Engine
from mcroute._engine.state cimport RouteEvent, RouteOrders


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
