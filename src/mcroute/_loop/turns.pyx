"""One turn: ready sockets, timers, a job, and then the output.

The loop sends at the end of the turn, so that a turn makes one system call for each connection with output, however
many replies or requests the output has. A turn reads the clock once.
"""

from libc.math cimport INFINITY, ceil
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from mcroute._engine.alarms cimport engine_alarms
from mcroute._engine.beginnings cimport claims_resume, engine_resume
from mcroute._engine.clock cimport engine_began
from mcroute._engine.dirty cimport conn_mark
from mcroute._engine.lifetimes cimport engine_free, engine_new
from mcroute._engine.overdue cimport engine_check
from mcroute._engine.state cimport Engine, Session
from mcroute._engine.server_words cimport mcroute_load
from mcroute._loop.endpoints cimport (
    endpoint_close, endpoint_flush, endpoint_open, endpoint_receive, endpoint_watch,
)
from mcroute._loop.engine_jobs cimport plans_settle_all, plans_settle, servers_fail_over, servers_limit
from mcroute._loop.jobs cimport job_run
from mcroute._loop.flushing cimport GATHER_MS, loop_flush
from mcroute._loop.links cimport SOCKETS, addresses_free, link_ready
from mcroute._loop.listeners cimport (
    accepted_ready, listener_ready, listeners_check, listeners_close, room_release, session_end,
)
from mcroute._loop.state cimport (
    END_ACCEPTED, END_LINK, END_LISTENER, END_WAKEUP, END_SESSION, Endpoint,
)
from mcroute._loop.system cimport (
    EFD_CLOEXEC, EFD_NONBLOCK, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLL_CLOEXEC, O_CLOEXEC,
    O_NONBLOCK, close, epoll_create1, epoll_event, epoll_wait, eventfd, mcroute_block_signals,
    mcroute_seconds, mcroute_signal_init, pipe2, pthread_cond_destroy, pthread_mutex_destroy,
    pthread_mutex_init, read, write,
)
from mcroute.runtime.links cimport links_check, links_close, links_free, links_restart
from mcroute.runtime.sharing cimport Signals

cdef enum:
    EVENTS_A_TURN = 1024
    OWN_FDS_MAX = 1 << 20
    WAIT_MAX_MS = 60 * 1000


# ---- a turn ----

cdef void _session_ready(Endpoint* end, uint32_t events) noexcept nogil:
    if events & EPOLLOUT and not endpoint_flush(end):
        session_end(end)
    elif events & EPOLLIN:
        if not endpoint_receive(end):
            session_end(end)
    elif events & (EPOLLERR | EPOLLHUP):
        session_end(end)


cdef void _notify(Loop* loop) noexcept nogil:
    """Wakes the supervising thread if there are events that it has not acknowledged."""
    cdef uint64_t one = 1
    cdef Engine* engine = loop.engine
    if (loop.links.reports == NULL and engine.events == NULL and engine.deferred == NULL
            and engine_alarms(engine) == loop.alarms_acknowledged):
        return
    loop.has_notified = True
    write(loop.notify_fd, &one, sizeof(one))


cdef int _wait_ms(Loop* loop) noexcept nogil:
    """Milliseconds to wait for events; -1: without limit."""
    cdef double due = min(min(loop.links.due, loop.listen_again_at), loop.engine.next_check)
    if due == INFINITY:
        return -1
    if due <= loop.now:
        return 0
    if loop.gathering > 0:
        return GATHER_MS
    return <int>ceil(min(1e3 * (due - loop.now), <double>WAIT_MAX_MS))


cdef void _ready(Endpoint* end, uint32_t events) noexcept nogil:
    if end.kind == END_SESSION:
        _session_ready(end, events)
    elif end.kind == END_LINK:
        link_ready(end, events)
    elif end.kind == END_LISTENER:
        listener_ready(end)
    elif end.kind == END_ACCEPTED:
        accepted_ready(end.loop)


cdef void _look_at_signals(Loop* loop) noexcept nogil:
    cdef Signals now
    if loop.links.signals == NULL:
        return
    now.ejections = mcroute_load(&loop.links.signals.ejections)
    now.restarts = mcroute_load(&loop.links.signals.restarts)
    now.sizes = mcroute_load(&loop.links.signals.sizes)
    if now.ejections != loop.signals_seen.ejections:
        servers_fail_over(loop)
    if now.restarts != loop.signals_seen.restarts:
        links_restart(&loop.links, loop.now)
    if now.sizes != loop.signals_seen.sizes:
        servers_limit(loop)
    loop.signals_seen = now


cdef void _look_at_claims(Loop* loop) noexcept nogil:
    """The loop that wrote to this loop's eventfd may have released a key."""
    if loop.engine.waiting != NULL:
        engine_began(loop.engine, loop.now)
        claims_resume(loop.engine)


cdef void _wake_others(Loop* loop) noexcept nogil:
    cdef uint64_t one = 1
    cdef int i
    loop.links.wakes_others = loop.engine.wakes_others = False
    for i in range(loop.wake_count):
        if i + 1 != loop.number:
            write(loop.wake_fds[i], &one, sizeof(one))


cdef int _turn(Loop* loop, int wait_ms) noexcept nogil:
    cdef epoll_event[EVENTS_A_TURN] events
    cdef Endpoint* end
    cdef bint is_woken = False
    cdef int i
    cdef int count = epoll_wait(loop.epoll, events, EVENTS_A_TURN, wait_ms)
    if not loop.is_stepped:
        loop.now = mcroute_seconds()
    for i in range(count):
        end = <Endpoint*>events[i].data.ptr
        if end.kind == END_WAKEUP:
            is_woken = True
        else:
            _ready(end, events[i].events)
    if loop.now >= loop.engine.next_check:
        engine_check(loop.engine, loop.now)
    if loop.now >= loop.listen_again_at:
        listeners_check(loop)
    if loop.now >= loop.links.due:
        links_check(&loop.links, loop.now)
    if is_woken:
        # Run after the events: a job may free their endpoints.
        job_run(loop)
        _look_at_signals(loop)
        _look_at_claims(loop)
    if loop.unsettled != NULL:
        plans_settle(loop)
        _look_at_claims(loop)
    # A job may have ended a request that other requests wait for.
    engine_resume(loop.engine, loop.now)
    loop_flush(loop, count == 0)
    if loop.engine.wakes_others or loop.links.wakes_others:
        _wake_others(loop)
    if not loop.has_notified:
        _notify(loop)
    return count


cdef void loop_run(Loop* loop) noexcept nogil:
    mcroute_block_signals()
    while not loop.is_stopping:
        _turn(loop, _wait_ms(loop))


cdef int loop_step(Loop* loop, double now) noexcept nogil:
    loop.is_stepped = True
    loop.now = now
    return _turn(loop, 0)


# ---- jobs ----

cdef void loop_stop(Loop* loop, void* nothing) noexcept nogil:
    plans_settle_all(loop)
    loop.is_stopping = True
    loop.is_running = False


cdef void loop_acknowledge(Loop* loop, void* nothing) noexcept nogil:
    loop.alarms_acknowledged = engine_alarms(loop.engine)
    loop.has_notified = False


cdef void _close_accepted(Loop* loop) noexcept nogil:
    """Closes clients that other loops have accepted for this loop and that have no session yet."""
    cdef int fd
    while read(loop.accepted.fd, &fd, sizeof(fd)) == sizeof(fd):
        close(fd)
        room_release(loop)


cdef void sessions_end(Loop* loop, void* nothing) noexcept nogil:
    cdef Session* session = loop.engine.sessions
    cdef Endpoint* end
    _close_accepted(loop)
    while session != NULL:
        end = <Endpoint*>session.conn.user
        end.has_ended = True
        endpoint_watch(end, end.events & ~<uint32_t>EPOLLIN)
        # The flush at the end of the turn closes a session without requests.
        conn_mark(&session.conn)
        session = session.next


cdef void sessions_abort(Loop* loop, void* nothing) noexcept nogil:
    while loop.engine.sessions != NULL:
        session_end(<Endpoint*>loop.engine.sessions.conn.user)


# ---- life ----

cdef bint _open(Loop* loop) noexcept nogil:
    cdef int[2] pipe
    cdef int wakeup
    loop.epoll = epoll_create1(EPOLL_CLOEXEC)
    if loop.epoll < 0:
        return False
    wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    if wakeup < 0 or not endpoint_open(&loop.wakeup, loop, END_WAKEUP, wakeup, NULL, EPOLLIN):
        return False
    if pipe2(pipe, O_CLOEXEC | O_NONBLOCK) < 0:
        return False
    loop.accepted_in = pipe[1]
    return endpoint_open(&loop.accepted, loop, END_ACCEPTED, pipe[0], NULL, EPOLLIN)


cdef Loop* loop_new(int notify_fd, uint64_t seed, double job_timeout) noexcept nogil:
    cdef Loop* loop = <Loop*>calloc(1, sizeof(Loop))
    if loop == NULL:
        return NULL
    loop.epoll = loop.wakeup.fd = loop.accepted.fd = loop.accepted_in = -1
    loop.notify_fd = notify_fd
    loop.links.random = seed | 1
    loop.links.due = loop.listen_again_at = INFINITY
    loop.links.driver = &SOCKETS
    loop.links.owner = loop
    loop.job_timeout = job_timeout
    pthread_mutex_init(&loop.callers, NULL)
    pthread_mutex_init(&loop.post, NULL)
    mcroute_signal_init(&loop.done)
    loop.own_fds = <uint8_t*>calloc(OWN_FDS_MAX // 8, 1)
    loop.own_fds_max = OWN_FDS_MAX if loop.own_fds != NULL else 0
    loop.engine = engine_new(seed)
    loop.links.engine = loop.engine
    if loop.engine == NULL or not _open(loop):
        loop_free(loop)
        return NULL
    return loop


cdef void loop_free(Loop* loop) noexcept nogil:
    if loop.engine != NULL:
        listeners_close(loop, NULL)
        sessions_abort(loop, NULL)
        links_close(&loop.links, loop.now)
        engine_free(loop.engine)
    addresses_free(loop)
    links_free(&loop.links)
    if loop.accepted.fd >= 0:
        _close_accepted(loop)
        endpoint_close(&loop.accepted)
    if loop.accepted_in >= 0:
        close(loop.accepted_in)
    if loop.wakeup.fd >= 0:
        endpoint_close(&loop.wakeup)
    if loop.epoll >= 0:
        close(loop.epoll)
    free(loop.own_fds)
    pthread_cond_destroy(&loop.done)
    pthread_mutex_destroy(&loop.post)
    pthread_mutex_destroy(&loop.callers)
    free(loop)


cdef void loop_detach(Loop* loop) noexcept nogil:
    cdef int fd
    for fd in range(loop.own_fds_max):
        if loop.own_fds[fd >> 3] >> (fd & 7) & 1:
            close(fd)
    close(loop.accepted_in)
    close(loop.epoll)
