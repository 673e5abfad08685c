"""The loop's structures: the sockets under an engine's connections.

    Loop (a thread) ─┬─ Engine            sessions, servers, links: the protocol
                     ├─ Endpoint          a socket; of a session, a link, a listener
                     ├─ LinkTable         the servers' links, connected again when they are lost (runtime/links.pxd)
                     └─ Job               posted by another thread, one at a time

A loop and everything below it belongs to its thread. Other threads reach the loop by jobs only.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.connections cimport IoVec
from mcroute._engine.state cimport Conn, Engine, PlanTable
from mcroute._loop.system cimport mcroute_keepalive, pthread_cond_t, pthread_mutex_t, sockaddr_storage, socklen_t
from mcroute.runtime.links cimport Connector, LinkTable
from mcroute.runtime.sharing cimport Signals

cdef enum:
    ADDRESSES_MAX = 8           # of one server's name
    LISTENERS_MAX = 16

cdef struct Endpoint
cdef struct Loop

# Carries bytes between a socket and the engine. Results and errno are those of recv and sendmsg; no call blocks.
# A hook may transform the bytes: TLS would be one, below the framing.
cdef struct Io:
    ssize_t (*receive)(Endpoint* end, uint8_t* room, size_t size) noexcept nogil
    ssize_t (*send)(Endpoint* end, IoVec* pieces, int count) noexcept nogil
    void (*close)(Endpoint* end) noexcept nogil

cdef enum EndpointKind:
    END_SESSION
    END_LINK
    END_LISTENER
    END_ACCEPTED                # sockets that another loop has accepted
    END_WAKEUP                  # the wake-up descriptor: a job or a signal is there

cdef struct Endpoint:
    uint8_t kind
    bint has_ended              # session: the client sends no more
    int fd                      # -1: none
    uint32_t events             # that epoll watches the socket for
    int error                   # errno of the receive or send that has failed
    Conn* conn
    Connector* link             # NULL: the endpoint is not a link's
    Loop* loop
    const Io* io
    void* io_state              # the hook's own

cdef struct Address:
    sockaddr_storage name
    socklen_t size

cdef struct Room:               # the bound on clients, of all loops that share servers
    uint64_t taken              # clients: counted before they are accepted, until they are closed
    uint64_t size
    uint64_t held               # how often a listener was paused because `taken` was `size`

# Runs in the loop's thread, between two turns.
ctypedef void (*Job)(Loop* loop, void* argument) noexcept nogil

cdef struct Loop:
    Engine* engine
    PlanTable* next_plan        # admitted, and to be installed
    PlanTable* unsettled        # older plans, without copies, whose writes are in flight
    int epoll
    double now                  # seconds, read once a turn
    uint32_t gathering          # the first so many dirty connections: sessions that wait for the rest of a batch
    double gathers_until
    LinkTable links
    mcroute_keepalive keepalive  # of later connections to servers
    Endpoint listeners[LISTENERS_MAX]
    int listener_count
    double listen_again_at      # after a pause, for want of descriptors or room; infinity: listening
    Endpoint accepted           # a pipe: sockets that other loops have accepted for this one
    int accepted_in             # the other end of that pipe
    int* share_with             # pipes of the loops that share a listener; -1 is this loop's
    int share_count
    int share_next
    uint32_t sessions           # open
    Room* room                  # NULL: clients are not bounded
    Signals signals_seen        # those of links.signals that this loop has handled
    int number                  # this loop's among the loops that share servers, from 1 on
    int* wake_fds               # eventfds of these loops, in the order of their numbers
    int wake_count
    Endpoint wakeup
    Job job                     # posted, not begun; `post` locks this field and the next three
    void* argument
    bint is_done                # the last job
    bint is_late                # a job was taken back, and the loop has begun none since
    pthread_mutex_t post
    pthread_cond_t done
    pthread_mutex_t callers     # one job at a time
    double job_timeout          # seconds; a job that has not begun by then is taken back
    bint is_running
    bint is_stopping
    bint is_stepped             # loop_step sets the time
    int notify_fd               # eventfd of the supervising thread
    bint has_notified
    uint64_t alarms_acknowledged  # the count of engine_alarms that the supervising thread has acknowledged
    uint8_t* own_fds            # a bit per descriptor that a forked child closes
    int own_fds_max
