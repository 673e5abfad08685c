"""The life of a link: connected, greeted, lost, and connected again. Every driver runs this state machine.

    IDLE ──▶ WAITING ──▶ CONNECTING ──▶ GREETING ──▶ CONNECTED
                ▲             │ failed      │            │ lost
                ├─────────────┴─────────────┘            │
                ├────────────────────────────────────────┤
                └──────────────── HELD ◀─────────────────┘ with writes in flight

A driver opens and closes connections when it is told to (`LinkDriver`), and says what became of them (`link_made` and
the functions after it). Time is an argument, in seconds of the engine's clock.
"""

from libc.stdint cimport uint32_t, uint64_t

from mcroute._engine.state cimport GREETING_MAX, LINKS_MAX, Engine, Link
from mcroute.runtime.sharing cimport SharedUpstream, Signals

cdef enum LinkStage:
    STAGE_IDLE                  # not wanted: the server has left
    STAGE_WAITING               # for the next attempt to connect, at `due`
    STAGE_CONNECTING            # until `due` at most, with the next stage
    STAGE_GREETING              # connected, and the handshake is not answered yet
    STAGE_CONNECTED             # and greeted: requests are sent
    STAGE_HELD                  # lost with writes in flight; connects again when the supervisor has taken note

cdef enum:
    NO_ADDRESS = -1             # in place of errno: no address of the server is known
    LOOKING_UP = -1             # in place of a count of addresses: links wait until they are known
    HOST_SIZE = 64              # of an address in letters
    REPORTS_MAX = 64            # taken at a time

cdef enum Change:               # of a link, for the supervisor
    CHANGE_LOST = 1
    CHANGE_FAILED = 2           # an attempt to connect, or the handshake
    CHANGE_CONNECTED = 4
    CHANGE_STARVED = 8          # an attempt, for want of descriptors or memory: the server has not failed

cdef struct LocalEnd:           # our end of a connection, as the server lists it
    char host[HOST_SIZE]        # "unix" for a unix socket
    int port                    # of a unix socket the process that listens
    bint is_known

cdef struct LinkReport:
    int server
    int index
    uint32_t changes
    uint32_t lost_writes        # unanswered when the link was lost
    int lost_error              # errno of that; 0: the server closed it, or we did
    LocalEnd lost_end           # of the lost connection
    uint64_t missed             # the server's missed writes when it was lost
    # Of the last attempt that failed: errno, NO_ADDRESS, or 0 if the handshake failed, by this answer or by none.
    int error
    bint is_late                # no answer came in time
    char[GREETING_MAX] greeting
    int greeting_size

cdef struct LinkTable

cdef struct Connector:          # what keeps one link of the engine connected
    LinkTable* table
    Link* link
    void* connection            # the driver's own
    int server
    int index
    int stage
    bint is_tried               # the first attempt to connect is over
    bint is_trial               # it tries for the links of all engines, see sharing.pxd
    bint is_reported            # in LinkTable.reports
    int address                 # of the upstream's, that is tried or used
    double due
    LocalEnd end
    LinkReport report
    Connector* next_report

cdef struct Backoff:            # policy.backoff, in seconds
    double base
    double cap
    double cap_out

cdef struct Upstream:           # a server, as far as it is connected to
    Connector* links[LINKS_MAX]
    int link_count
    double timeout              # for making a connection, handshake included
    Backoff backoff
    SharedUpstream* shared      # with the other engines: when attempts are made again
    uint64_t ejections_seen     # of these
    void* addresses             # the driver's own
    int address_count           # or LOOKING_UP

# What a driver does for its links. It may not call this module meanwhile.
cdef struct LinkDriver:
    # A link was added: prepares `connection`. False without memory.
    bint (*attach)(Connector* link) noexcept nogil
    # Begins to connect to the upstream's address of this index: 0, or errno at once. Else link_made or
    # link_not_made follows.
    int (*connect)(Connector* link, int address) noexcept nogil
    # Hands the engine what the server has sent before it closed the connection: why, perhaps.
    void (*drain)(Connector* link, double now) noexcept nogil
    # Ends the connection, or the attempt: nothing more is told of it. There may be none.
    void (*close)(Connector* link) noexcept nogil
    # The link is freed.
    void (*detach)(Connector* link) noexcept nogil

cdef struct LinkTable:          # the links of one engine
    Engine* engine
    const LinkDriver* driver
    void* owner                 # the driver's own
    Upstream** upstreams        # by the server's id
    int upstream_count
    Connector* reports          # links that have something for the supervisor
    double due                  # when links_check is to be called
    uint64_t random             # not 0
    Signals* signals            # for the other engines; NULL: there are none
    bint wakes_others           # there is a signal for them

# The handshake, and the beginning of the reply to it.
cdef const char* HELLO
cdef const char* HELLO_PREFIX

# ---- what a driver tells ----

# The connection is made; `link.end` is set by the driver before. The handshake goes out when the engine is flushed.
cdef void link_made(Connector* link, double now) noexcept nogil
# An attempt to connect has failed, by errno.
cdef void link_not_made(Connector* link, int error, double now) noexcept nogil
# Bytes have come, and are in the engine.
cdef void link_received(Connector* link, double now) noexcept nogil
# The connection is gone, or to be given up; by errno, 0 if the server has closed it.
cdef void link_ended(Connector* link, int error, double now) noexcept nogil
# Attempts that are due or overdue; sets `due`.
cdef void links_check(LinkTable* table, double now) noexcept nogil
# Links that wait for their next attempt make it now, if their servers are not known to fail.
cdef void links_restart(LinkTable* table, double now) noexcept nogil

# Whether the engine's output for the link is to be sent.
cdef inline bint link_is_open(const Connector* link) noexcept nogil:
    return link.stage == STAGE_GREETING or link.stage == STAGE_CONNECTED

# ---- what a supervisor wants ----

cdef struct Wish:               # about one server
    int server
    int count                   # of links: as many as there are, or more
    double timeout              # for making a connection
    Backoff backoff
    int address_count           # or LOOKING_UP
    bint are_new                # other addresses than before
    SharedUpstream* shared

# The server's upstream, made if there is none; NULL without memory.
cdef Upstream* links_upstream(LinkTable* table, int server) noexcept nogil
# Connects to the server; later connections take a changed timeout, or changed addresses. False without memory.
cdef bint links_connect(LinkTable* table, const Wish* wish, double now) noexcept nogil
# Closes connected links with unanswered requests; they are connected again.
cdef void links_settle(LinkTable* table, int server, double now) noexcept nogil
# Closes connected links that owe replies and have been silent since then; they are connected again.
cdef void links_drop_silent(LinkTable* table, int server, double since, double now) noexcept nogil
# Closes all links of the server, for good.
cdef void links_leave(LinkTable* table, int server, double now) noexcept nogil
# All servers' at the end: closed and freed.
cdef void links_close(LinkTable* table, double now) noexcept nogil
cdef void links_free(LinkTable* table) noexcept nogil

cdef struct LinkLook:
    int stage
    bint is_tried
    uint32_t unanswered
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

# Hands the reports over. Links that were held until then connect again.
cdef void links_report(LinkTable* table, Reports* out, double now) noexcept nogil
