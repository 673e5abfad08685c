"""Events that make the driver look at servers: missed writes and notices. Trips are counted in trips.pyx."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._engine.counters cimport counter_add
from mcroute._engine.state cimport Engine, Expected, Server, Walk

cdef enum:
    NOTICE_S = 1                # between two notices of a server

# Call for a write that did not reach the server while another copy may have taken it. Notes the key in the server's
# journal, and ejects the server, which may hold an older value, until the supervisor has restored it. `is_unsent`: the
# write can never reach the server.
cdef void server_missed(Server* server, Walk* walk, bint is_unsent) noexcept nogil
# The same for the write of an orphan.
cdef void server_missed_orphan(Server* server, Engine* engine, const Expected* orphan) noexcept nogil
# The same for a write of the engine itself, which is not sent.
cdef void server_missed_key(
    Server* server, Engine* engine, const uint8_t* key, size_t size, bint is_base64
) noexcept nogil

# Asks the driver to look at the server's counts, at most once a second.
cdef inline void server_notice(Server* server) noexcept nogil:
    cdef Engine* engine = server.links[0].conn.engine
    if engine.now >= server.noticed_at + NOTICE_S:
        server.noticed_at = engine.now
        counter_add(&engine.counts.notices, 1)

# Number of ejections, spared servers and notices: when it has grown, the driver is to look at the servers.
cdef inline uint64_t engine_alarms(Engine* engine) noexcept nogil:
    return engine.counts.ejections + engine.counts.spared + engine.counts.notices
