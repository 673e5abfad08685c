"""Searches all sessions each time; it is rare that a share is used up."""

from mcroute._engine.blocks cimport out_clear, slice_unref
from mcroute._engine.counters cimport counter_add
from mcroute._engine.dirty cimport conn_break
from mcroute._engine.state cimport ClientRequest, Session

cdef enum:
    CLOSED_AT_ONCE = 16         # sessions
    UNREAD_MIN = 64 * 1024      # bytes: a session with less output is not closed

# Seconds until the next search, after a search that found no session.
cdef double RECLAIM_PAUSE = 0.01


cdef Session* _most_unread(Engine* engine) noexcept nogil:
    cdef Session* session = engine.sessions
    cdef Session* most = NULL
    cdef size_t bytes = UNREAD_MIN
    while session != NULL:
        if session.conn.out.bytes >= bytes and not session.conn.is_broken:
            bytes = session.conn.out.bytes
            most = session
        session = session.next
    return most


cdef void _close(Session* session) noexcept nogil:
    """Frees the session's output at once; the driver closes the connection at the end of its turn."""
    cdef ClientRequest* request = session.head
    counter_add(&session.conn.engine.counts.closed_memory, 1)
    conn_break(&session.conn)
    out_clear(&session.conn.out)
    while request != NULL:
        if request.is_done:
            slice_unref(&request.reply)
        request = request.next


cdef void replies_reclaim(Engine* engine) noexcept nogil:
    cdef Session* most
    cdef int _i
    if engine.now < engine.reclaim_failed_at + RECLAIM_PAUSE:
        return
    for _i in range(CLOSED_AT_ONCE):
        if engine.pool.used_bytes <= engine.pool.used_share:
            return
        most = _most_unread(engine)
        if most == NULL:
            engine.reclaim_failed_at = engine.now
            return
        _close(most)
