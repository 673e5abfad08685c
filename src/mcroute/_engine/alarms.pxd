"""What makes the driver look at servers: missed writes, and what is to be noticed. Trips are counted in trips.pyx."""

from libc.stdint cimport uint64_t

from mcroute._engine.counters cimport counter_add
from mcroute._engine.state cimport Engine, Server

cdef enum:
    NOTICE_S = 1                # between two notices of a server

# A write has not reached the server, while another copy may have taken it: the server may hold an older value, and is
# out of service at once, until it has been put in order.
cdef void server_missed(Server* server, Engine* engine) noexcept nogil

# The driver is to look at the server's counts, at most once a second.
cdef inline void server_notice(Server* server) noexcept nogil:
    cdef Engine* engine = server.links[0].conn.engine
    if engine.now >= server.noticed_at + NOTICE_S:
        server.noticed_at = engine.now
        counter_add(&engine.counts.notices, 1)

# Grows whenever the driver is to look: servers were taken out of service, or spared, or noticed.
cdef inline uint64_t engine_alarms(Engine* engine) noexcept nogil:
    return engine.counts.ejections + engine.counts.spared + engine.counts.notices
