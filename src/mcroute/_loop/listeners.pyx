"""Accepts clients, and divides them among the loops that share a listener."""

from libc.errno cimport errno
from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from mcroute._engine.counters cimport counter_add
from mcroute._engine.lifetimes cimport session_close, session_open
from mcroute._engine.state cimport Session
from mcroute._engine.server_words cimport mcroute_load, mcroute_more, mcroute_swap
from mcroute._loop.endpoints cimport endpoint_close, endpoint_open, endpoint_watch
from mcroute._loop.state cimport END_LISTENER, END_SESSION, LISTENERS_MAX, Room
from mcroute._loop.system cimport (
    EMFILE, ENFILE, ENOBUFS, ENOMEM, EPOLLIN, close, mcroute_accept, mcroute_tune, read, write,
)

cdef enum:
    ACCEPTS_A_TURN = 64         # new clients do not delay connected ones

# Seconds without watching a listener that lacks a descriptor or room: epoll would report it in every turn.
cdef double NO_DESCRIPTORS_PAUSE = 0.1


cdef bint _room_take(Loop* loop) noexcept nogil:
    cdef Room* room = loop.room
    cdef uint64_t taken
    if room == NULL:
        return True
    while True:
        taken = mcroute_load(&room.taken)
        if taken >= mcroute_load(&room.size):
            return False
        if mcroute_swap(&room.taken, taken, taken + 1):
            return True


cdef void room_release(Loop* loop) noexcept nogil:
    cdef uint64_t taken
    if loop.room == NULL:
        return
    while True:
        taken = mcroute_load(&loop.room.taken)
        if mcroute_swap(&loop.room.taken, taken, taken - 1):
            return


cdef void _refuse(Loop* loop, int fd) noexcept nogil:
    close(fd)
    room_release(loop)


cdef void _admit(Loop* loop, int fd) noexcept nogil:
    cdef Session* session
    cdef Endpoint* end = <Endpoint*>calloc(1, sizeof(Endpoint))
    if end == NULL:
        _refuse(loop, fd)
        return
    session = session_open(loop.engine)
    if session == NULL:
        free(end)
        _refuse(loop, fd)
        return
    mcroute_tune(fd)
    if not endpoint_open(end, loop, END_SESSION, fd, &session.conn, EPOLLIN):
        session_close(session)
        free(end)
        _refuse(loop, fd)
        return
    loop.sessions += 1


cdef void session_end(Endpoint* end) noexcept nogil:
    end.loop.sessions -= 1
    session_close(<Session*>end.conn)
    endpoint_close(end)
    room_release(end.loop)
    free(end)


cdef void _pass_on(Loop* loop, int fd) noexcept nogil:
    """Gives the client to the next loop in turn, or to this loop if that loop's pipe is full."""
    cdef int to
    if loop.share_count == 0:
        _admit(loop, fd)
        return
    to = loop.share_with[loop.share_next]
    loop.share_next = (loop.share_next + 1) % loop.share_count
    if to < 0 or write(to, &fd, sizeof(fd)) != sizeof(fd):
        _admit(loop, fd)


cdef void _pause(Loop* loop) noexcept nogil:
    cdef int i
    counter_add(&loop.engine.counts.accepts_failed, 1)
    loop.listen_again_at = loop.now + NO_DESCRIPTORS_PAUSE
    for i in range(loop.listener_count):
        endpoint_watch(&loop.listeners[i], 0)


cdef void listener_ready(Endpoint* listener) noexcept nogil:
    cdef int fd
    cdef int error
    cdef int i
    for i in range(ACCEPTS_A_TURN):
        if not _room_take(listener.loop):
            # Only at the first: after an accepted client, the next turn shows whether another client waits.
            if i == 0:
                mcroute_more(&listener.loop.room.held)
                _pause(listener.loop)
            return
        fd = mcroute_accept(listener.fd)
        if fd >= 0:
            _pass_on(listener.loop, fd)
            continue
        error = errno
        room_release(listener.loop)
        if error in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
            _pause(listener.loop)
        return


cdef void accepted_ready(Loop* loop) noexcept nogil:
    cdef int[ACCEPTS_A_TURN] fds
    cdef ssize_t got = read(loop.accepted.fd, fds, sizeof(fds))
    cdef int i
    for i in range(<int>(got // <ssize_t>sizeof(int))):
        _admit(loop, fds[i])


cdef void listeners_check(Loop* loop) noexcept nogil:
    cdef int i
    if loop.now >= loop.listen_again_at:
        loop.listen_again_at = INFINITY
        for i in range(loop.listener_count):
            endpoint_watch(&loop.listeners[i], EPOLLIN)


cdef void listeners_add(Loop* loop, void* listening) noexcept nogil:
    cdef Listening* wanted = <Listening*>listening
    wanted.is_done = loop.listener_count < LISTENERS_MAX and endpoint_open(
        &loop.listeners[loop.listener_count], loop, END_LISTENER, wanted.fd, NULL, EPOLLIN)
    if wanted.is_done:
        loop.listener_count += 1
        loop.share_with = wanted.share_with
        loop.share_count = wanted.share_count


cdef void listeners_close(Loop* loop, void* nothing) noexcept nogil:
    while loop.listener_count > 0:
        loop.listener_count -= 1
        endpoint_close(&loop.listeners[loop.listener_count])
    loop.listen_again_at = INFINITY
