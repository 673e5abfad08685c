"""Shortens lifetimes. A number above 30 days is a date: whether it is later than the longest lifetime takes a clock."""

from libc.stdint cimport uint64_t

from mcroute._engine.server_words cimport mcroute_load
from mcroute._engine.state cimport Server

cdef enum:
    DATES_FROM = 30 * 24 * 3600 + 1  # seconds since 1970


cdef int64_t walk_exptime(Walk* walk, int64_t exptime) noexcept nogil:
    cdef int64_t ttl_max
    cdef uint64_t ahead
    cdef Server* server
    if not walk_is_capped(walk) or exptime < 0:
        return exptime
    ttl_max = walk.request.plan.nodes[walk.node].ttl_max
    if exptime < DATES_FROM:
        return ttl_max if exptime == 0 else min(exptime, ttl_max)
    server = walk.request.plan.engine.servers[walk.server]
    ahead = mcroute_load(&server.journal.bounds.date_ahead)
    # Without the date, the longest lifetime.
    if ahead == 0 or exptime - <int64_t>ahead - <int64_t>walk.request.plan.engine.now > ttl_max:
        return ttl_max
    return exptime
