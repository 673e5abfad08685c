"""The engine's time, as set by the driver."""

from mcroute._engine.state cimport Engine

# Sets the time before requests begin: the shortest timeout bounds the next check.
cdef inline void engine_began(Engine* engine, double now) noexcept nogil:
    engine.now = now
    if now + engine.shortest < engine.next_check:
        engine.next_check = now + engine.shortest

# Sets Engine.shortest. Call after a change of the plan, or of a server's hedge_after.
cdef inline void engine_find_shortest(Engine* engine) noexcept nogil:
    cdef int i
    if engine.plan == NULL:
        return
    engine.shortest = engine.plan.shortest
    for i in range(engine.server_count):
        if 0 < engine.servers[i].hedge_after < engine.shortest:
            engine.shortest = engine.servers[i].hedge_after
