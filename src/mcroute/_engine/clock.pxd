"""The time, as the driver has told it."""

from mcroute._engine.state cimport Engine

# A request begins now: no timeout can end sooner than the shortest there is.
cdef inline void engine_began(Engine* engine, double now) noexcept nogil:
    engine.now = now
    if now + engine.plan.shortest < engine.next_check:
        engine.next_check = now + engine.plan.shortest
