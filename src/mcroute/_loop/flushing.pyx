"""The end of a turn: sends the output of every dirty connection.

A client that sends a batch of requests goes on when all of them are answered. The replies come from several servers in
several turns, and sending in each turn would cost the proxy and the client a system call each. So the first replies of
a batch wait for the others, once per batch at most. The wait ends as soon as all replies are there, epoll has had no
event for a turn, a turn ends a millisecond later, or the replies have 16 KiB. A client that sends more requests while
replies are due does not send a batch: several callers share its connection, and its replies do not wait
(docs/decisions/0009-batches.md).
"""

from libc.stdint cimport uint32_t

from mcroute._engine.state cimport CONN_LINK, CONN_SESSION, Conn, Engine, Session
from mcroute._loop.endpoints cimport endpoint_flush
from mcroute._loop.links cimport link_flush
from mcroute._loop.listeners cimport session_end
from mcroute._loop.state cimport Endpoint
from mcroute._protocol cimport REQ_NOREPLY

cdef enum:
    GATHER_MAX = 16 * 1024      # bytes: more are worth a separate system call


cdef bint _gathers(const Conn* conn) noexcept nogil:
    """Whether replies of a batch wait to be sent, fewer than GATHER_MAX bytes, and the batch has more replies due."""
    cdef const Session* session = <const Session*>conn
    return (conn.kind == CONN_SESSION and session.is_batch and session.in_flight > 0
            and not session.tail.view.flags & REQ_NOREPLY and 0 < conn.out.bytes < GATHER_MAX
            and not session.is_paused and not conn.is_closing and not conn.is_broken)


cdef void _flush(Conn* conn) noexcept nogil:
    cdef Endpoint* end = <Endpoint*>conn.user
    conn.is_dirty = False
    if conn.kind == CONN_LINK:
        link_flush(end)
    elif not endpoint_flush(end):
        session_end(end)


cdef void loop_flush(Loop* loop, bint is_quiet) noexcept nogil:
    cdef Engine* engine = loop.engine
    cdef bint is_over = is_quiet or loop.now >= loop.gathers_until
    cdef uint32_t kept = 0
    cdef uint32_t i = 0
    cdef Conn* conn
    # dirty_count may grow meanwhile: a flush resumes a paused session, whose requests mark links.
    while i < engine.dirty_count:
        conn = engine.dirty[i]
        i += 1
        if conn == NULL:
            continue
        if _gathers(conn):
            if not is_over or i > loop.gathering:
                engine.dirty[kept] = conn
                kept += 1
                continue
            (<Session*>conn).is_batch = False
        _flush(conn)
    engine.dirty_count = kept
    if kept > 0 and (is_over or loop.gathering == 0):
        loop.gathers_until = loop.now + GATHER_MS / 1e3
    loop.gathering = kept
