"""The engine's time, as set by the driver."""

from mcroute._engine.state cimport Engine

# Sets the time before requests begin: the plan's shortest timeout bounds the next check.
cdef inline void engine_began(Engine* engine, double now) noexcept nogil:
    engine.now = now
    if now + engine.plan.shortest < engine.next_check:
        engine.next_check = now + engine.plan.shortest
