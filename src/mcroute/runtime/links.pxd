"""The life of a link: connected, greeted, lost, and connected again. Every driver runs this state machine.

    IDLE ──▶ WAITING ──▶ CONNECTING ──▶ GREETING ──▶ CONNECTED
                ▲             │ failed      │            │ lost
                ├─────────────┴─────────────┘            │
                ├────────────────────────────────────────┤
                └──────────────── HELD ◀─────────────────┘ with writes in flight

The state machine calls a driver's `LinkDriver` to open and close connections, and the driver reports their events by
`link_made` and the functions after it. Time is an argument, in seconds of the engine's clock.
"""

from libc.stdint cimport uint32_t, uint64_t

from mcroute._engine.state cimport GREETING_MAX, LINKS_MAX, Engine, Link
from mcroute.runtime.sharing cimport SharedUpstream, Signals

cdef enum LinkStage:
    STAGE_IDLE                  # closed until links_connect
    STAGE_WAITING               # for the next attempt to connect, at `due`
    STAGE_CONNECTING            # `due` is the timeout of this stage and the next together
    STAGE_GREETING              # connected; the handshake is not answered
    STAGE_CONNECTED             # the handshake is answered: requests are sent
    STAGE_HELD                  # lost with writes in flight; waits until the supervisor takes the report

cdef enum:
    NO_ADDRESS = -1             # in place of errno: no address of the server is known
    LOOKING_UP = -1             # in place of an address count: links wait until the addresses are known
    HOST_SIZE = 64              # of an address in letters
    REPORTS_MAX = 64            # that one call takes

cdef enum Change:               # of a link, for the supervisor
    CHANGE_LOST = 1
    CHANGE_FAILED = 2           # an attempt to connect, or the handshake, has failed
    CHANGE_CONNECTED = 4
    CHANGE_OUT_OF_RESOURCES = 8          # an attempt failed for want of descriptors or memory: no failure of the server

cdef struct LocalEnd:           # our end of a connection, as the server lists it
    char host[HOST_SIZE]        # "unix" for a unix socket
    int port                    # for a unix socket, the id of the listening process
    bint is_known

cdef struct LinkReport:
    int server
    int index
    uint32_t changes
    uint32_t lost_writes        # unanswered when the link was lost
    int lost_error              # errno of the loss; 0: the server or this process closed the connection
    LocalEnd lost_end           # of the lost connection
    uint64_t missed             # the server's missed writes when the link was lost
    # Of the last failed attempt: errno, NO_ADDRESS, or 0 if the handshake failed; `greeting` is the answer to it.
    int error
    bint is_late                # the attempt timed out
    char[GREETING_MAX] greeting
    int greeting_size

cdef struct LinkTable

cdef struct Connector:          # keeps one link of the engine connected
    LinkTable* table
    Link* link
    void* connection            # the driver's own
    int server
    int index
    int stage
    bint is_tried               # the first attempt to connect is over
    bint is_trial               # the link's attempt is the one of all engines, see sharing.pxd
    bint is_reported            # in LinkTable.reports
    int address                 # index of the upstream's address that the link tries or uses
    double due
    LocalEnd end
    LinkReport report
    Connector* next_report

cdef struct Backoff:            # policy.backoff, in seconds
    double base
    double cap
    double cap_out

cdef struct Upstream:           # a server's links, and the options of their connections
    Connector* links[LINKS_MAX]
    int link_count
    double timeout              # connect timeout in seconds, handshake included
    Backoff backoff
    SharedUpstream* shared      # with the other engines: the backoff, and more
    uint64_t ejections_seen     # of shared.ejections
    void* addresses             # the driver's own
    int address_count           # or LOOKING_UP

# A driver's operations on links. They must not call this module.
cdef struct LinkDriver:
    # Prepares the new link's `connection`. False without memory.
    bint (*attach)(Connector* link) noexcept nogil
    # Begins to connect to the upstream's address of this index. Returns an errno, or 0: then the driver calls
    # link_made or link_not_made.
    int (*connect)(Connector* link, int address) noexcept nogil
    # Passes the engine the bytes that the server sent before it closed the connection, perhaps an error line.
    void (*drain)(Connector* link, double now) noexcept nogil
    # Ends the connection or the attempt, if there is one: the driver reports no more events of it.
    void (*close)(Connector* link) noexcept nogil
    # Frees the link's `connection`.
    void (*detach)(Connector* link) noexcept nogil

cdef struct LinkTable:          # the links of one engine
    Engine* engine
    const LinkDriver* driver
    void* owner                 # the driver's own
    Upstream** upstreams        # by the server's id
    int upstream_count
    Connector* reports          # links with a report for the supervisor
    double due                  # the time of the next links_check
    uint64_t random             # not 0
    Signals* signals            # for the other engines; NULL: there are none
    bint wakes_others           # there is a signal for them

# The handshake, and the beginning of the reply to it.
cdef const char* HELLO
cdef const char* HELLO_PREFIX

# ---- events of a driver ----

# The connection is made; the driver sets `link.end` before. The next flush of the engine sends the handshake.
cdef void link_made(Connector* link, double now) noexcept nogil
# An attempt to connect has failed, with errno.
cdef void link_not_made(Connector* link, int error, double now) noexcept nogil
# The engine has received bytes of the link.
cdef void link_received(Connector* link, double now) noexcept nogil
# The connection is lost, or has to be closed; with errno, 0 if the server has closed it.
cdef void link_ended(Connector* link, int error, double now) noexcept nogil
# Begins attempts that are due, and ends attempts that have timed out; sets `due`.
cdef void links_check(LinkTable* table, double now) noexcept nogil
# Lets waiting links try to connect now, if their servers do not fail.
cdef void links_restart(LinkTable* table, double now) noexcept nogil

# Whether the driver may send the engine's output for the link.
cdef inline bint link_is_open(const Connector* link) noexcept nogil:
    return link.stage == STAGE_GREETING or link.stage == STAGE_CONNECTED

# ---- operations of the supervisor ----

cdef struct LinkSettings:       # the wanted links of one server
    int server
    int count                   # of links: never fewer than before
    double timeout              # connect timeout in seconds
    Backoff backoff
    int address_count           # or LOOKING_UP
    bint are_new                # the addresses have changed
    SharedUpstream* shared

# The server's upstream, made if there is none; NULL without memory.
cdef Upstream* links_upstream(LinkTable* table, int server) noexcept nogil
# Connects to the server: connections that exist stay, later ones use the new timeout and addresses. False without
# memory.
cdef bint links_connect(LinkTable* table, const LinkSettings* settings, double now) noexcept nogil
# Closes connected links with unanswered requests; they are connected again.
cdef void links_abort_unsettled(LinkTable* table, int server, double now) noexcept nogil
# Closes connected links that owe replies and have been silent since then; they are connected again.
cdef void links_abort_silent(LinkTable* table, int server, double since, double now) noexcept nogil
# Closes all links of the server; they stay closed until links_connect.
cdef void links_disconnect(LinkTable* table, int server, double now) noexcept nogil
# At the end: close, then free, the links of all servers.
cdef void links_close(LinkTable* table, double now) noexcept nogil
cdef void links_free(LinkTable* table) noexcept nogil

cdef struct LinkLook:
    int stage
    bint is_tried
    uint32_t unanswered
    uint32_t answered           # replies so far, also those that were lost with their connection; wraps around
    char[GREETING_MAX] greeting
    int greeting_size
    LocalEnd end

cdef struct Look:
    int server
    LinkLook[LINKS_MAX] links
    int count

cdef void links_look(LinkTable* table, Look* look) noexcept nogil

cdef struct Reports:
    LinkReport[REPORTS_MAX] items
    int count

# Takes the reports. Links that were held for the supervisor connect again.
cdef void links_report(LinkTable* table, Reports* out, double now) noexcept nogil
