"""The list of dirty connections."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport realloc

from mcroute._engine.state cimport Engine


cdef void conn_add_dirty(Conn* conn) noexcept nogil:
    cdef Engine* engine = conn.engine
    cdef uint32_t room
    cdef Conn** larger
    if engine.dirty_count == engine.dirty_room:
        room = engine.dirty_room * 2 if engine.dirty_room else 256
        larger = <Conn**>realloc(engine.dirty, room * sizeof(Conn*))
        if larger == NULL:
            return
        engine.dirty = larger
        engine.dirty_room = room
    conn.is_dirty = True
    engine.dirty[engine.dirty_count] = conn
    engine.dirty_count += 1
