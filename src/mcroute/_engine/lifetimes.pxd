"""Makes and frees engines, servers, sessions and links."""

from libc.stdint cimport uint64_t

from mcroute._engine.state cimport Engine, Link, PlanTable, Server, Session, Text

# An engine without a plan: no request may begin before engine_install.
cdef Engine* engine_new(uint64_t seed) noexcept nogil
# Starts new requests on this plan; requests in flight keep theirs, which counts them in its `refs`.
cdef void engine_install(Engine* engine, PlanTable* plan) noexcept nogil
# Adds a server with the next id; NULL without memory.
cdef Server* server_add(Engine* engine) noexcept nogil
cdef void engine_free(Engine* engine) noexcept nogil
cdef Session* session_open(Engine* engine) noexcept nogil
# Frees the session: its client has disconnected, or the driver has closed the connection.
cdef void session_close(Session* session) noexcept nogil
# The server's next link; NULL without memory, or when it has LINKS_MAX.
cdef Link* link_new(Engine* engine, Server* server) noexcept nogil
# Undoes link_new, if it was the last call on the engine.
cdef void link_undo(Link* link) noexcept nogil
cdef void link_connecting(Link* link) noexcept nogil
# Adds a step to the connection's handshake, before any request queues: the step's request, and the required prefix of
# the reply. False if there are too many steps, or without memory.
cdef bint link_script(Link* link, Text request, Text prefix) noexcept nogil
# The connection is established: the handshake is sent, and the waiting requests after its last reply.
cdef void link_connected(Link* link) noexcept nogil
# Requests that were not sent yet end as not sent, those that were sent as lost.
cdef void link_closed(Link* link, double now) noexcept nogil
# As link_closed, for a connection that failed for want of descriptors or memory: no failure of the server.
cdef void link_withdrawn(Link* link, double now) noexcept nogil
