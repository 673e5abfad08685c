"""The engine as its drivers see it: connections that take bytes and `now`, and give bytes.

A driver reads into what `conn_buffer` lends and says so with `conn_received`; at the end of each turn it
looks at every connection in `Engine.dirty`: sends what `conn_iovecs` shows, reports it with `conn_sent`,
closes what is to be closed. It calls `engine_check` when `Engine.next_check` has come.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._engine.state cimport Conn, Engine, Link, PlanTable, Server, Session, Text

cdef struct IoVec:              # as POSIX lays it out, so that writev takes an array of them
    void* base
    size_t size

# An engine without a plan: nothing may be asked of it before engine_install.
cdef Engine* engine_new(uint64_t seed) noexcept nogil
# Requests from now on start on this plan; those in flight keep theirs, whose `refs` say until when.
cdef void engine_install(Engine* engine, PlanTable* plan) noexcept nogil
# A server more, under the next id; NULL without memory.
cdef Server* server_add(Engine* engine) noexcept nogil
cdef void engine_free(Engine* engine) noexcept nogil
cdef Session* session_open(Engine* engine) noexcept nogil
# The client has gone, or the driver has closed the connection. The session is freed.
cdef void session_close(Session* session) noexcept nogil
# The server's next link; NULL without memory, or when it has LINKS_MAX.
cdef Link* link_new(Engine* engine, Server* server) noexcept nogil
cdef void link_connecting(Link* link) noexcept nogil
# The next step of the connection's handshake, due before any request: what is sent, what the reply begins with.
# False if there are too many steps, or without memory.
cdef bint link_script(Link* link, Text request, Text prefix) noexcept nogil
cdef void link_connected(Link* link) noexcept nogil
cdef void link_closed(Link* link, double now) noexcept nogil

# Room to read into, valid until the next call on any connection; NULL when nothing may be read now.
cdef uint8_t* conn_buffer(Conn* conn, size_t* size) noexcept nogil
cdef void conn_received(Conn* conn, size_t size, double now) noexcept nogil
# Up to `count` pieces of what is to be sent; returns how many.
cdef int conn_iovecs(Conn* conn, IoVec* pieces, int count) noexcept nogil
# So many bytes were sent; due for every dirty connection in every turn, also when there was nothing to send,
# because that is when a paused session goes on.
cdef void conn_sent(Conn* conn, size_t size) noexcept nogil
# A request begins now: no timeout can end sooner than the shortest there is.
cdef inline void engine_began(Engine* engine, double now) noexcept nogil:
    engine.now = now
    if now + engine.plan.shortest < engine.next_check:
        engine.next_check = now + engine.plan.shortest

# Requests begin that have waited behind a key that is held no more; due in every turn after whatever may have ended
# a request but bytes, the loss of a link and engine_check, which see to it themselves.
cdef void engine_resume(Engine* engine, double now) noexcept nogil
# Ends what is overdue; sets Engine.next_check.
cdef void engine_check(Engine* engine, double now) noexcept nogil
