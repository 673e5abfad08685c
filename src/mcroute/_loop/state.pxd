"""The loop's structures: what is under an engine's connections.

    Loop (a thread) ─┬─ Engine            sessions, servers, links: what the bytes mean
                     ├─ Endpoint          a socket; of a session, a link, a listener
                     ├─ Upstream ── LoopLink …   a server's connections, made again when they are lost
                     └─ Errand            what another thread wants to be done here, one at a time

A loop and everything below it belongs to its thread. Others reach it by errands only.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.connections cimport IoVec
from mcroute._engine.state cimport GREETING_MAX, LINKS_MAX, Conn, Engine, Link, PlanTable
from mcroute._loop.sharing cimport SharedUpstream, Signals
from mcroute._loop.system cimport pthread_cond_t, pthread_mutex_t, sockaddr_storage, socklen_t

cdef enum:
    ADDRESSES_MAX = 8           # of one server's name
    LISTENERS_MAX = 16

cdef struct Endpoint
cdef struct Loop

# What carries bytes between a socket and the engine. Results and errno as of recv and sendmsg; nothing blocks.
# Another hook may transform the bytes on their way: TLS would sit here, below the framing.
cdef struct Io:
    ssize_t (*receive)(Endpoint* end, uint8_t* room, size_t size) noexcept nogil
    ssize_t (*send)(Endpoint* end, IoVec* pieces, int count) noexcept nogil
    void (*close)(Endpoint* end) noexcept nogil

cdef enum EndpointKind:
    END_SESSION
    END_LINK
    END_LISTENER
    END_HANDED                  # sockets that another loop has accepted
    END_MAIL                    # an errand is there

cdef struct Endpoint:
    uint8_t kind
    bint has_ended              # session: the client sends no more
    int fd                      # -1: none
    uint32_t events             # that the system is asked for
    int error                   # errno of the receive or send that has failed
    Conn* conn
    Loop* loop
    const Io* io
    void* io_state              # the hook's own

cdef struct Address:
    sockaddr_storage name
    socklen_t size

cdef enum LinkStage:
    STAGE_IDLE                  # not wanted: the server has left
    STAGE_WAITING               # for the next attempt to connect, at `due`
    STAGE_CONNECTING            # until `due` at most, with the next stage
    STAGE_GREETING              # connected, and the handshake is not answered yet
    STAGE_CONNECTED             # and greeted: requests are sent
    STAGE_HELD                  # lost with writes under way; connects again when the supervisor has taken note

cdef enum:
    NO_ADDRESS = -1

cdef enum Change:               # of a link, for the supervisor
    CHANGE_LOST = 1
    CHANGE_FAILED = 2           # an attempt to connect, or the handshake
    CHANGE_CONNECTED = 4
    CHANGE_STARVED = 8          # an attempt, for want of descriptors or memory: the server has not failed

cdef struct LinkReport:
    int server
    int index
    uint32_t changes
    uint32_t lost_writes        # unanswered when the link was lost
    int lost_error              # errno of that; 0: the server closed it, or we did
    sockaddr_storage lost_name  # our end of the lost connection
    uint64_t missed             # the server's missed writes when it was lost
    # Of the last attempt that failed: errno, NO_ADDRESS, or 0 if the handshake failed, by this answer or by none.
    int error
    bint is_late                # no answer came in time
    char[GREETING_MAX] greeting
    int greeting_size

cdef struct LoopLink:
    Endpoint end
    Link* link
    int server
    int index
    int stage
    bint is_tried               # the first attempt to connect is over
    bint is_trial               # it tries for the links of all loops, see sharing.pxd
    bint is_reported            # in Loop.reports
    int address                 # of the upstream's, that is tried or used
    double due
    sockaddr_storage name       # our end
    LinkReport report
    LoopLink* next_report

cdef struct Upstream:           # a server, as far as it is connected to
    LoopLink* links[LINKS_MAX]
    int link_count
    double timeout              # for making a connection, handshake included
    SharedUpstream* shared      # with the other loops: when attempts are made again
    uint64_t ejections_seen     # of these
    Address addresses[ADDRESSES_MAX]
    int address_count

cdef struct Room:               # for clients, of all loops that share servers
    uint64_t taken              # from before a client is accepted until it is closed
    uint64_t size
    uint64_t held               # times that a listener was held because it was full

# Done in the loop's thread, between two turns.
ctypedef void (*Errand)(Loop* loop, void* argument) noexcept nogil

cdef struct Loop:
    Engine* engine
    PlanTable* next_plan        # admitted, and to be installed
    PlanTable* unsettled        # older ones, without copies, by which writes are under way
    int epoll
    double now                  # seconds, read once a turn
    uint32_t gathering          # sessions, the first of the dirty ones, whose batch is not whole yet
    double gathers_until
    double due                  # when the first link or listener wants something
    Upstream** upstreams        # by the server's id
    int upstream_count
    LoopLink* reports           # links with news for the supervisor
    Endpoint listeners[LISTENERS_MAX]
    int listener_count
    double listen_again_at      # after the system had no descriptor left; infinity: listening
    Endpoint handed             # what other loops have accepted for this one
    int hand_in                 # the other end of that pipe
    int* hand_to                # the pipes of the loops that share a listener, this loop's own among them
    int hand_count
    int hand_next
    uint32_t sessions           # open
    Room* room                  # NULL: without bound
    Signals* signals            # of the supervising thread, and of the other loops,
    Signals signals_seen        # as far as this loop has acted on them
    int number                  # this loop's among those that share servers, from 1 on
    int* wake_fds               # of these, in the order of their numbers
    int wake_count
    bint wakes_others           # it has a signal for them
    Endpoint mail
    Errand errand               # that nobody has begun yet; this and the next three by `post`
    void* argument
    bint is_done                # the last one
    bint is_late                # the loop has not come to one in time, nor to any since
    pthread_mutex_t post
    pthread_cond_t done
    pthread_mutex_t callers     # one errand at a time
    double errand_timeout       # seconds until the loop has to begin one
    bint is_running
    bint is_stopping
    bint is_stepped             # time is what loop_step says
    int bell                    # eventfd of the supervising thread
    bint has_rung
    uint64_t told_alarms        # see engine_alarms: those that the supervising thread knows of
    uint64_t random
    uint8_t* own_fds            # a bit each, for a forked child to close
    int own_fds_max
