# Only for use from Cython: see bounds.pxd.
"""Limits of values follow the servers, unless the configuration sets them."""

from mcroute._engine.blocks cimport pool_set_share
from mcroute._engine.state cimport VALUE_MAX_UNKNOWN, PlanPool


cdef void server_bound_values(Server* server) noexcept nogil:
    server.value_max = server.value_set
    if server.value_max == 0:
        server.value_max = server.item_size_max if server.item_size_max > 0 else <uint64_t>VALUE_MAX_UNKNOWN


cdef void engine_bound_values(Engine* engine) noexcept nogil:
    cdef uint64_t largest = 0
    cdef bint are_wide = True
    cdef PlanPool* pool
    cdef Server* server
    cdef int i, j
    if engine.value_set > 0:
        engine.limits.value_max = engine.value_set
    if engine.plan == NULL:
        return
    for i in range(engine.plan.pool_count):
        pool = &engine.plan.pools[i]
        for j in range(pool.size):
            server = engine.servers[pool.server_ids[j]]
            largest = max(largest, server.value_max)
            are_wide &= server.has_wide_flags
    if engine.value_set == 0:
        engine.limits.value_max = largest if largest > 0 else <uint64_t>VALUE_MAX_UNKNOWN
    # Flags that one server would cut to 32 bits are refused.
    engine.limits.flags_max = <uint64_t>-1 if are_wide and largest > 0 else <uint64_t>0xFFFFFFFFU


cdef void server_set_value_limits(Engine* engine, const ValueLimits* reported) noexcept nogil:
    if not 0 <= reported.server < engine.server_count:
        return
    engine.servers[reported.server].item_size_max = reported.size
    engine.servers[reported.server].has_wide_flags = reported.flags_size > 4
    server_bound_values(engine.servers[reported.server])
    engine_bound_values(engine)


cdef Bounds bounds_of(limits) except *:
    return Bounds(
        limits.value_max, limits.request_memory_max, limits.reply_memory_max, limits.link_memory_max,
        limits.authentication, limits.link_requests_max, limits.link_bytes_max, limits.link_orphans_max,
        limits.link_orphan_age_s, limits.refill_keys_per_s, limits.refill_hold_off_s,
    )


cdef void engine_set_bounds(Engine* engine, const Bounds* bounds) noexcept nogil:
    engine.value_set = bounds.value
    engine.authentication = bounds.authentication
    engine.queue_max = bounds.link_requests
    engine.link_out_max = bounds.link_bytes
    engine.orphans_max = bounds.link_orphans
    engine.orphan_age = bounds.link_orphan_age
    engine.refills.rate = bounds.refill_rate
    engine.refills.hold_off = bounds.refill_hold_off
    pool_set_share(&engine.uploads, bounds.requests)
    pool_set_share(&engine.pool, bounds.replies)
    pool_set_share(&engine.outbound, bounds.links)
    engine_bound_values(engine)
