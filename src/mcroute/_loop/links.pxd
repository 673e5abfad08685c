"""Connections to servers: made, lost, and made again; what happens to them is reported to the supervisor."""

from libc.stdint cimport uint32_t

from mcroute._engine.state cimport GREETING_MAX, LINKS_MAX
from mcroute._loop.sharing cimport SharedUpstream
from mcroute._loop.state cimport Address, LinkReport, Loop, LoopLink

# What the link's socket is ready for.
cdef void link_ready(LoopLink* link, uint32_t events) noexcept nogil
# The connection is gone, or to be given up.
cdef void link_end(LoopLink* link) noexcept nogil
# Attempts that are due or overdue; sets Loop.due.
cdef void links_check(Loop* loop) noexcept nogil

# ---- errands ----

cdef struct Wish:               # about one server
    int server
    int count                   # of links: as many as there are, or more
    double timeout
    Address* addresses
    int address_count
    SharedUpstream* shared      # of the server
    bint is_done                # False: without memory

# Connects to the server, from now on at these addresses; later connections take a changed address or timeout.
cdef void upstream_connect(Loop* loop, void* wish) noexcept nogil
# The argument of these is a pointer to the server's id.
# Closes the links that are not connected with every request answered; they are connected again.
cdef void upstream_settle(Loop* loop, void* server) noexcept nogil

cdef struct Silence:
    int server
    double since                # seconds, of the loop's clock

# Closes connected links that owe replies and have been silent since then; they are connected again.
cdef void upstream_drop_silent(Loop* loop, void* silence) noexcept nogil
# The argument of these is a pointer to the server's id.
# Closes all links, for good.
cdef void upstream_leave(Loop* loop, void* server) noexcept nogil

cdef enum:
    HOST_ROOM = 64              # for an address in letters

cdef struct LinkLook:
    int stage
    bint is_tried
    uint32_t unanswered
    char greeting[GREETING_MAX]
    int greeting_size
    char host[HOST_ROOM]        # of our end
    int port                    # -1: a connection without a name

cdef struct Look:
    int server
    LinkLook links[LINKS_MAX]
    int count

cdef void upstream_look(Loop* loop, void* look) noexcept nogil

cdef struct Looks:              # at several servers
    Look* items
    int count

cdef void upstreams_look(Loop* loop, void* looks) noexcept nogil

cdef enum:
    REPORTS_MAX = 64            # in one go

cdef struct Reports:
    LinkReport items[REPORTS_MAX]
    int count

# Links that wait for their next attempt make it now, if their servers are not known to fail.
cdef void upstreams_restart(Loop* loop) noexcept nogil
# Hands the news over. Links that were held because of it connect again.
cdef void links_report(Loop* loop, void* reports) noexcept nogil
