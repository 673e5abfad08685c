"""Bytes in and out of an engine's connections.

A driver reads into the buffer of `conn_buffer` and reports the bytes with `conn_received`. At the end of each turn it
looks at every connection in `Engine.dirty`: it sends the pieces of `conn_iovecs`, reports them with `conn_sent`, and
closes the connection if that is due. It calls `engine_check` of overdue.pxd when `Engine.next_check` has come.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Conn

cdef struct IoVec:              # as POSIX lays it out, so that writev takes an array of them
    void* base
    size_t size

# Room to read into, valid until the next call on any connection; NULL when nothing may be read now.
cdef uint8_t* conn_buffer(Conn* conn, size_t* size) noexcept nogil
cdef void conn_received(Conn* conn, size_t size, double now) noexcept nogil
# Number of bytes that may be sent now: of a link that is not ready, only its handshake.
cdef size_t conn_sendable(const Conn* conn) noexcept nogil
# Fills in up to `count` pieces of these bytes; returns the number of pieces.
cdef int conn_iovecs(Conn* conn, IoVec* pieces, int count) noexcept nogil
# `size` bytes were sent. Call for every dirty connection in every turn, even with 0: a paused session goes on by this
# call.
cdef void conn_sent(Conn* conn, size_t size) noexcept nogil
