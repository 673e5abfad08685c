"""The loop's structures: what is under an engine's connections.

    Loop (a thread) ─┬─ Engine            sessions, servers, links: what the bytes mean
                     ├─ Endpoint          a socket; of a session, a link, a listener
                     ├─ LinkTable         the servers' links, made again when they are lost (runtime/links.pxd)
                     └─ Job               posted by another thread, one at a time

A loop and everything below it belongs to its thread. Others reach it by jobs only.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.connections cimport IoVec
from mcroute._engine.state cimport Conn, Engine, PlanTable
from mcroute._loop.system cimport pthread_cond_t, pthread_mutex_t, sockaddr_storage, socklen_t
from mcroute.runtime.links cimport Connector, LinkTable
from mcroute.runtime.sharing cimport Signals

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
    END_ACCEPTED                # sockets that another loop has accepted
    END_WAKEUP                  # a job or a signal is there

cdef struct Endpoint:
    uint8_t kind
    bint has_ended              # session: the client sends no more
    int fd                      # -1: none
    uint32_t events             # that the system is asked for
    int error                   # errno of the receive or send that has failed
    Conn* conn
    Connector* link             # NULL: not a link's
    Loop* loop
    const Io* io
    void* io_state              # the hook's own

cdef struct Address:
    sockaddr_storage name
    socklen_t size

cdef struct Room:               # for clients, of all loops that share servers
    uint64_t taken              # from before a client is accepted until it is closed
    uint64_t size
    uint64_t held               # times that a listener was held because it was full

# Done in the loop's thread, between two turns.
ctypedef void (*Job)(Loop* loop, void* argument) noexcept nogil

cdef struct Loop:
    Engine* engine
    PlanTable* next_plan        # admitted, and to be installed
    PlanTable* unsettled        # older ones, without copies, by which writes are under way
    int epoll
    double now                  # seconds, read once a turn
    uint32_t gathering          # sessions, the first of the dirty ones, whose batch is not whole yet
    double gathers_until
    LinkTable links
    Endpoint listeners[LISTENERS_MAX]
    int listener_count
    double listen_again_at      # after the system had no descriptor left; infinity: listening
    Endpoint accepted           # a pipe: sockets that other loops have accepted for this one
    int accepted_in             # the other end of that pipe
    int* share_with             # the pipes of the loops that share a listener, this loop's own among them
    int share_count
    int share_next
    uint32_t sessions           # open
    Room* room                  # NULL: without bound
    Signals signals_seen        # of the links', as far as this loop has acted on them
    int number                  # this loop's among those that share servers, from 1 on
    int* wake_fds               # of these, in the order of their numbers
    int wake_count
    Endpoint wakeup
    Job job                     # posted and not begun yet; `post` locks this and the next three
    void* argument
    bint is_done                # the last one
    bint is_late                # the loop has not come to one in time, nor to any since
    pthread_mutex_t post
    pthread_cond_t done
    pthread_mutex_t callers     # one job at a time
    double job_timeout          # seconds until the loop has to begin one
    bint is_running
    bint is_stopping
    bint is_stepped             # time is what loop_step says
    int notify_fd               # eventfd of the supervising thread
    bint has_notified
    uint64_t told_alarms        # see engine_alarms: those that the supervising thread knows of
    uint8_t* own_fds            # a bit each, for a forked child to close
    int own_fds_max
