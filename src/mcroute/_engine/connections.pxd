"""Bytes in and out of an engine's connections.

A driver reads into what `conn_buffer` lends and says so with `conn_received`; at the end of each turn it
looks at every connection in `Engine.dirty`: sends what `conn_iovecs` shows, reports it with `conn_sent`,
closes what is to be closed. It calls `engine_check` of overdue.pxd when `Engine.next_check` has come.
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
# Bytes that may be sent now: of a link that is not ready only its handshake.
cdef size_t conn_sendable(const Conn* conn) noexcept nogil
# Up to `count` pieces of these; returns how many.
cdef int conn_iovecs(Conn* conn, IoVec* pieces, int count) noexcept nogil
# So many bytes were sent; due for every dirty connection in every turn, also when there was nothing to send,
# because that is when a paused session goes on.
cdef void conn_sent(Conn* conn, size_t size) noexcept nogil
