# distutils: language = c
"""The engine under the barest epoll loop that can carry it: what routing costs when nothing else does.

One thread, level-triggered, no timers but the engine's, links connected once at the start.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stddef cimport size_t
from libc.stdint cimport intptr_t, uint8_t, uint32_t

from mcroute._engine.connections cimport IoVec, conn_buffer, conn_iovecs, conn_received, conn_sent
from mcroute._engine.engine cimport Engine
from mcroute._engine.lifetimes cimport (
    link_closed, link_connected, link_connecting, link_new, session_close, session_open,
)
from mcroute._engine.overdue cimport engine_check
from mcroute._engine.state cimport CONN_LINK, CONN_SESSION, Conn, Engine as EngineState, Link, Session

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>
    #include <time.h>
    #include <unistd.h>
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <sys/uio.h>

    static double seconds(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }
    static void no_delay(int fd) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    static int tcp(int port, int listening) {
        struct sockaddr_in a = {0};
        int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
        a.sin_family = AF_INET;
        a.sin_port = htons((uint16_t)port);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (listening ? bind(fd, (void *)&a, sizeof a) || listen(fd, 1024) : connect(fd, (void *)&a, sizeof a)) {
            close(fd);
            return -1;
        }
        return fd;
    }
    static int accept_one(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK); }
    static void watch(int ep, int op, int fd, uint32_t events, void *conn) {
        struct epoll_event e;
        e.events = events;
        e.data.ptr = conn;
        epoll_ctl(ep, op, fd, &e);
    }
    """
    enum: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLL_CTL_ADD, EPOLL_CTL_MOD, MSG_DONTWAIT, MSG_NOSIGNAL
    ctypedef union epoll_data:
        void* ptr
    struct iovec:
        pass
    struct epoll_event:
        uint32_t events
        epoll_data data
    double seconds()
    void no_delay(int fd)
    int tcp(int port, int listening)
    int accept_one(int listener)
    void watch(int ep, int op, int fd, uint32_t events, void* conn)
    int epoll_create1(int flags)
    int epoll_wait(int ep, epoll_event* events, int count, int timeout)
    ssize_t recv(int fd, void* buffer, size_t size, int flags)
    ssize_t send(int fd, const void* buffer, size_t size, int flags)
    ssize_t writev(int fd, const iovec* pieces, int count)
    int close(int fd)


cdef int fd_of(Conn* conn) noexcept nogil:
    return <int>(<intptr_t>conn.user >> 1)


cdef void end(Conn* conn, double now) noexcept nogil:
    close(fd_of(conn))
    if conn.kind == CONN_LINK:
        link_closed(<Link*>conn, now)
    else:
        session_close(<Session*>conn)


cdef void wait_for_room(int ep, Conn* conn, bint wanted) noexcept nogil:
    """EPOLLOUT only while a send fell short; the lowest bit of `user` remembers it."""
    if (<intptr_t>conn.user & 1) == wanted:
        return
    watch(ep, EPOLL_CTL_MOD, fd_of(conn), EPOLLIN | (EPOLLOUT if wanted else 0), conn)
    conn.user = <void*>((<intptr_t>fd_of(conn) << 1) | wanted)


cdef bint flush(int ep, Conn* conn) noexcept nogil:
    """Sends what there is. False when the connection is to be ended."""
    cdef IoVec[64] pieces
    cdef int count = conn_iovecs(conn, pieces, 64)
    cdef ssize_t sent = 0
    if conn.is_broken:
        return False
    while count > 0:
        if count == 1:
            sent = send(fd_of(conn), pieces[0].base, pieces[0].size, MSG_NOSIGNAL)
        else:
            sent = writev(fd_of(conn), <const iovec*>pieces, count)
        if sent < 0:
            if errno != EAGAIN:
                return False
            wait_for_room(ep, conn, True)
            return True
        conn_sent(conn, <size_t>sent)
        count = conn_iovecs(conn, pieces, 64)
    conn_sent(conn, 0)
    wait_for_room(ep, conn, False)
    return not (conn.is_closing and conn.kind == CONN_SESSION and (<Session*>conn).head == NULL)


cdef void take_in(Conn* conn, double now) noexcept nogil:
    cdef size_t room = 0
    cdef uint8_t* buffer = conn_buffer(conn, &room)
    cdef ssize_t got
    if buffer == NULL:
        return
    got = recv(fd_of(conn), buffer, room, MSG_DONTWAIT)
    if got > 0:
        conn_received(conn, <size_t>got, now)
    elif got == 0 or (errno != EAGAIN and errno != EINTR):
        end(conn, now)


cdef void admit(int ep, int listener, EngineState* engine) noexcept nogil:
    cdef int fd = accept_one(listener)
    cdef Session* session
    if fd < 0:
        return
    session = session_open(engine)
    no_delay(fd)
    session.conn.user = <void*>(<intptr_t>fd << 1)
    watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, &session.conn)


cdef void turn(int ep, int listener, EngineState* engine) noexcept nogil:
    cdef epoll_event[512] events
    cdef Conn* conn
    cdef uint32_t i
    cdef int event
    cdef int count = epoll_wait(ep, events, 512, 100)
    cdef double now = seconds()
    for event in range(count):
        conn = <Conn*>events[event].data.ptr
        if conn == NULL:
            admit(ep, listener, engine)
            continue
        if events[event].events & EPOLLOUT and not flush(ep, conn):
            end(conn, now)
            continue
        if events[event].events & (EPOLLIN | EPOLLERR | EPOLLHUP):
            take_in(conn, now)
    # The list may grow while it is worked off: a paused session that goes on asks servers.
    i = 0
    while i < engine.dirty_count:
        conn = engine.dirty[i]
        i += 1
        if conn != NULL:
            conn.is_dirty = False
            if not flush(ep, conn):
                end(conn, now)
    engine.dirty_count = 0
    if now >= engine.next_check:
        engine_check(engine, now)


def serve(Engine engine, int port, list server_ports):
    """Serves until a signal: listens on 127.0.0.1:port, one link to each server."""
    cdef int ep = epoll_create1(0)
    cdef int listener = tcp(port, 1)
    cdef int fd
    cdef int i, _turn
    cdef Link* link
    if listener < 0:
        raise OSError(f"cannot listen on port {port}")
    for i in range(len(server_ports)):
        fd = tcp(server_ports[i], 0)
        if fd < 0:
            raise OSError(f"no server listens on port {server_ports[i]}")
        no_delay(fd)
        link = link_new(engine.state, engine.state.servers[i])
        link_connecting(link)
        link_connected(link)
        link.conn.user = <void*>(<intptr_t>fd << 1)
        watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, &link.conn)
    watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN, NULL)
    while True:
        with nogil:
            for _turn in range(1000):
                turn(ep, listener, engine.state)
