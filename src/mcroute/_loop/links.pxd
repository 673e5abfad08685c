"""The sockets of links, and what another thread asks of links, as jobs. Their life is in runtime/links.pxd."""

from libc.stdint cimport uint32_t

from mcroute._loop.state cimport Address, Endpoint, Loop
from mcroute.runtime.links cimport Backoff, LinkDriver, Look
from mcroute.runtime.sharing cimport SharedUpstream

cdef LinkDriver SOCKETS

# What the link's socket is ready for.
cdef void link_ready(Endpoint* end, uint32_t events) noexcept nogil
# Sends what the engine has for the link.
cdef void link_flush(Endpoint* end) noexcept nogil
# The addresses of all servers are freed.
cdef void addresses_free(Loop* loop) noexcept nogil

# ---- jobs ----

cdef struct Connect:            # to one server
    int server
    int count                   # of links: as many as there are, or more
    double timeout
    Backoff backoff
    Address* addresses
    int address_count           # or LOOKING_UP
    SharedUpstream* shared      # of the server
    bint is_done                # False: without memory

# Connects to the server, from now on at these addresses; later connections take a changed address or timeout.
cdef void server_connect(Loop* loop, void* connect) noexcept nogil
# The argument of these is a pointer to the server's id.
# Closes the links that are not connected with every request answered; they are connected again.
cdef void server_settle(Loop* loop, void* server) noexcept nogil
# Closes all links, for good.
cdef void server_leave(Loop* loop, void* server) noexcept nogil

cdef struct Silence:
    int server
    double since                # seconds, of the loop's clock

# Closes connected links that owe replies and have been silent since then; they are connected again.
cdef void server_drop_silent(Loop* loop, void* silence) noexcept nogil

cdef struct Looks:              # at several servers
    Look* items
    int count

cdef void servers_look(Loop* loop, void* looks) noexcept nogil
# The argument is `Reports`.
cdef void reports_take(Loop* loop, void* reports) noexcept nogil
