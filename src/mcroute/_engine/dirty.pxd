"""Connections that have something to send, or are to be closed: the driver looks at them at the end of its turn."""

from mcroute._engine.state cimport Conn

cdef void conn_add_dirty(Conn* conn) noexcept nogil

# Asks the driver to look at the connection.
cdef inline void conn_mark(Conn* conn) noexcept nogil:
    if not conn.is_dirty:
        conn_add_dirty(conn)

# Asks the driver to close the connection at once: no more bytes are read or sent.
cdef inline void conn_break(Conn* conn) noexcept nogil:
    conn.is_broken = True
    conn_mark(conn)
