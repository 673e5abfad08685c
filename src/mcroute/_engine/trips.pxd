"""Requests that are overdue, links that are silent, servers that are taken out of service for it: the trip rule.

A link is *silent* when it has shown no sign of life for the server's reply timeout, though a request on it is
overdue. A sign of life is a whole reply, or another 4 KiB of one, so that a server which drips its replies is
silent too. Only what is overdue on a silent link is a failure of the server; on a link with signs of life the
server is slow, and takes longer than the reply timeout at most as long as its clients wait.
"""

from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

from mcroute._engine.counters cimport counter_add
from mcroute._engine.links cimport link_oldest
from mcroute._engine.state cimport Engine, Link, Server

cdef enum:
    SIGN_OF_LIFE = 4096         # bytes of a reply that is not whole yet
    NOTICE_S = 1
    NETWORK_TIMEOUTS = 4        # reply timeouts of silence, where no server of the pool answers

# Ends what is overdue on the link; returns when to look again.
cdef double link_check(Link* link, double now) noexcept nogil
# Requests have reached their deadline: ends those asks on the link without which they have an answer. With
# `are_all_looked_at` also asks that are not overdue, because their request had waited before.
cdef void link_expire(Link* link, double now, bint are_all_looked_at) noexcept nogil
# One more failure: too many in a row, and the server is out until the supervisor says otherwise.
cdef void server_failed(Server* server) noexcept nogil
# A write has not reached the server, while another copy may have taken it: the server may hold an older value, and is
# out of service at once, until it has been put in order.
cdef void server_missed(Server* server, Engine* engine) noexcept nogil
# The oldest expected reply will not come: LOST, or EJECTED if the request was not sent.
cdef void link_drop_oldest(Link* link, int outcome) noexcept nogil
# What waits on a server that has tripped, on whatever engine, fails over, unless the server is in service again.
cdef void server_fail_over(Server* server) noexcept nogil

# The driver is to look at the server's counts, at most once a second.
cdef inline void server_notice(Server* server) noexcept nogil:
    cdef Engine* engine = server.links[0].conn.engine
    if engine.now >= server.noticed_at + NOTICE_S:
        server.noticed_at = engine.now
        counter_add(&engine.counts.notices, 1)

# Grows whenever the driver is to look: servers were taken out of service, or spared, or noticed.
cdef inline uint64_t engine_alarms(Engine* engine) noexcept nogil:
    return engine.counts.ejections + engine.counts.spared + engine.counts.notices

# When the link was last heard, or the oldest request sent that it owes a reply; infinity if it owes none.
cdef inline double link_silent_since(Link* link) noexcept nogil:
    return max(link.heard_at, link_oldest(link).sent_at) if link.count > 0 else INFINITY

# A whole reply.
cdef inline void link_answered(Link* link) noexcept nogil:
    link.heard_at = link.conn.engine.now
    link.unheard = 0
    link.server.failures = 0

# Some bytes have come.
cdef inline void link_heard(Link* link, size_t size) noexcept nogil:
    link.unheard += size
    if link.unheard >= SIGN_OF_LIFE:
        link_answered(link)
