"""Sockets in an epoll set, level-triggered: their events change only when a send falls short or a client waits."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.connections cimport IoVec, conn_buffer, conn_iovecs, conn_received, conn_sent
from mcroute._engine.state cimport Session
from mcroute._loop.state cimport END_LINK, END_SESSION, Io
from mcroute._loop.system cimport (
    EPOLLIN, EPOLLOUT, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, close, mcroute_recv, mcroute_send,
    mcroute_watch, mcroute_writev,
)

cdef enum:
    PIECES = 64                 # for one system call


# ---- the hook without a transformation ----

cdef ssize_t _receive(Endpoint* end, uint8_t* room, size_t size) noexcept nogil:
    return mcroute_recv(end.fd, room, size)


cdef ssize_t _send(Endpoint* end, IoVec* pieces, int count) noexcept nogil:
    if count == 1:
        return mcroute_send(end.fd, pieces[0].base, pieces[0].size)
    return mcroute_writev(end.fd, pieces, count)


cdef void _close(Endpoint* end) noexcept nogil:
    close(end.fd)


cdef Io PLAIN = Io(_receive, _send, _close)


# ---- life ----

cdef void _note(Loop* loop, int fd, bint is_ours) noexcept nogil:
    if fd < loop.own_fds_max:
        if is_ours:
            loop.own_fds[fd >> 3] |= <uint8_t>(1 << (fd & 7))
        else:
            loop.own_fds[fd >> 3] &= <uint8_t>~(1 << (fd & 7))


cdef bint endpoint_open(Endpoint* end, Loop* loop, int kind, int fd, Conn* conn, uint32_t events) noexcept nogil:
    end.kind = <uint8_t>kind
    end.has_ended = False
    end.error = 0
    end.fd = fd
    end.events = events
    end.conn = conn
    end.loop = loop
    end.io = &PLAIN
    end.io_state = NULL
    if conn != NULL:
        conn.user = end
    if mcroute_watch(loop.epoll, EPOLL_CTL_ADD, fd, events, end) < 0:
        return False
    _note(loop, fd, True)
    return True


cdef void endpoint_close(Endpoint* end) noexcept nogil:
    # A forked child may hold the socket open: without this, epoll would report events of a freed endpoint.
    mcroute_watch(end.loop.epoll, EPOLL_CTL_DEL, end.fd, 0, NULL)
    _note(end.loop, end.fd, False)
    end.io.close(end)
    end.fd = -1


cdef void endpoint_watch(Endpoint* end, uint32_t events) noexcept nogil:
    if end.events != events:
        end.events = events
        mcroute_watch(end.loop.epoll, EPOLL_CTL_MOD, end.fd, events, end)


# ---- bytes ----

cdef bint endpoint_receive(Endpoint* end) noexcept nogil:
    cdef size_t room = 0
    cdef uint8_t* buffer = conn_buffer(end.conn, &room)
    cdef ssize_t got
    if buffer == NULL:
        # The session is paused: the system keeps its further bytes until some of its replies are sent.
        if not end.conn.is_broken:
            endpoint_watch(end, end.events & ~<uint32_t>EPOLLIN)
        return True
    got = end.io.receive(end, buffer, room)
    if got > 0:
        conn_received(end.conn, <size_t>got, end.loop.now)
        return True
    if got == 0 and end.kind == END_SESSION:
        # The client may have closed its sending half only: it still gets its replies.
        end.has_ended = True
        endpoint_watch(end, end.events & ~<uint32_t>EPOLLIN)
        return _session_goes_on(end)
    if got < 0 and (errno == EAGAIN or errno == EINTR):
        return True
    end.error = errno if got < 0 else 0
    return False


cdef bint _session_goes_on(Endpoint* end) noexcept nogil:
    """After a send: False if the session ends, because all its requests are answered; else resumes reading."""
    cdef Session* session = <Session*>end.conn
    if end.has_ended and not session.is_paused:
        end.conn.is_closing = True
    if end.conn.is_closing:
        return end.conn.out.count > 0 or session.head != NULL
    if not session.is_paused and not end.has_ended and not end.events & EPOLLIN:
        endpoint_watch(end, end.events | EPOLLIN)
    return True


cdef bint endpoint_flush(Endpoint* end) noexcept nogil:
    cdef Conn* conn = end.conn
    cdef IoVec[PIECES] pieces
    cdef int count
    cdef ssize_t sent
    if conn.is_broken and end.kind == END_LINK:
        return False
    count = conn_iovecs(conn, pieces, PIECES)
    if count == 0:
        # conn_sent also resumes a paused session, which has nothing to send yet.
        conn_sent(conn, 0)
        count = conn_iovecs(conn, pieces, PIECES)
    while count > 0:
        sent = end.io.send(end, pieces, count)
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                end.error = errno
                return False
            endpoint_watch(end, end.events | EPOLLOUT)
            return not conn.is_broken
        conn_sent(conn, <size_t>sent)
        count = conn_iovecs(conn, pieces, PIECES)
    if end.events & EPOLLOUT:
        endpoint_watch(end, end.events & ~<uint32_t>EPOLLOUT)
    if conn.is_broken:
        return False
    return end.kind == END_LINK or _session_goes_on(end)
