"""The sockets of links, and the jobs that other threads post for links. The state machine is runtime/links.pxd."""

from libc.stdint cimport uint32_t

from mcroute._loop.state cimport Address, Endpoint, Loop
from mcroute._loop.system cimport mcroute_keepalive
from mcroute.runtime.links cimport Backoff, LinkDriver, Look
from mcroute.runtime.sharing cimport SharedUpstream

cdef LinkDriver SOCKETS

# Handles the events that epoll reports for the link's socket.
cdef void link_ready(Endpoint* end, uint32_t events) noexcept nogil
# Sends the engine's output for the link.
cdef void link_flush(Endpoint* end) noexcept nogil
# Frees the addresses of all servers.
cdef void addresses_free(Loop* loop) noexcept nogil

# ---- jobs ----

cdef struct Connect:            # to one server
    int server
    int count                   # of links: never fewer than before
    double timeout
    Backoff backoff
    mcroute_keepalive keepalive
    Address* addresses
    int address_count           # or LOOKING_UP
    SharedUpstream* shared      # of the server
    bint is_done                # False: without memory

# Connects to the server. Connections that exist stay; later ones use the new addresses and timeout.
cdef void server_connect(Loop* loop, void* connect) noexcept nogil
# The argument of the next two is a pointer to the server's id.
# Closes connected links with unanswered requests; they are connected again.
cdef void server_abort_unsettled(Loop* loop, void* server) noexcept nogil
# Closes all links; they stay closed until server_connect.
cdef void server_disconnect(Loop* loop, void* server) noexcept nogil

cdef struct Silence:
    int server
    double since                # seconds, of the loop's clock

# Closes connected links that owe replies and have been silent since then; they are connected again.
cdef void server_abort_silent(Loop* loop, void* silence) noexcept nogil

cdef struct Looks:              # at several servers
    Look* items
    int count

cdef void servers_look(Loop* loop, void* looks) noexcept nogil
# The argument is `Reports`.
cdef void reports_take(Loop* loop, void* reports) noexcept nogil
