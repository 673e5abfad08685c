"""Engines, and what they have: servers, sessions and links, made and freed."""

from libc.stdint cimport uint64_t

from mcroute._engine.state cimport Engine, Link, PlanTable, Server, Session, Text

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
# The connection stands: the handshake goes out, and what is asked meanwhile behind its last reply.
cdef void link_connected(Link* link) noexcept nogil
# Requests that were not sent yet end as not sent, those that were sent as lost.
cdef void link_closed(Link* link, double now) noexcept nogil
# The same for a connection that could not be made for want of descriptors or memory: no failure of the server.
cdef void link_withdrawn(Link* link, double now) noexcept nogil
