"""Memoryviews of blocks: a block stays while a view refers to it, so large values are not copied for Python."""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from mcroute._engine.blocks cimport COPY_MAX, Slice, block_unref, block_ref
from mcroute._engine.connections cimport conn_buffer, conn_received, conn_sendable, conn_sent


# Cleared by the garbage collector, a piece could outlive the engine that its block belongs to.
@cython.no_gc_clear
@cython.final
cdef class Piece:
    """A slice of a block, seen through a memoryview."""

    cdef object engine
    cdef Slice slice
    cdef bint is_read_only

    def __dealloc__(self):
        if self.slice.block == NULL:
            return
        # This may be another thread than the engine's, which changes the same reference count.
        with cython.critical_section(self.engine):
            block_unref(self.slice.block)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.slice.block.data + self.slice.offset, self.slice.size,
                          self.is_read_only, flags)


cdef object _lend(Slice slice, object engine, bint is_read_only):
    cdef Piece piece = Piece.__new__(Piece)
    piece.engine = engine
    piece.slice = slice
    piece.is_read_only = is_read_only
    block_ref(slice.block)
    return memoryview(piece)


cdef bytes _copy(Conn* conn, size_t size):
    """The first bytes of the output, counted as sent."""
    cdef bytes data = PyBytes_FromStringAndSize(NULL, size)
    cdef char* room = PyBytes_AS_STRING(data)
    cdef size_t left = size
    cdef size_t part
    cdef unsigned int i = conn.out.head
    cdef Slice* piece
    while left > 0:
        piece = &conn.out.ring[i & (conn.out.slots - 1)]
        part = piece.size if piece.size < left else left
        memcpy(room, piece.block.data + piece.offset, part)
        room += part
        left -= part
        i += 1
    conn_sent(conn, size)
    return data


cdef size_t _small(Conn* conn, size_t sendable) noexcept nogil:
    """Number of bytes before the next large piece."""
    cdef size_t size = 0
    cdef unsigned int i
    cdef Slice* piece
    for i in range(conn.out.count):
        piece = &conn.out.ring[(conn.out.head + i) & (conn.out.slots - 1)]
        if piece.size > COPY_MAX or size >= sendable:
            break
        size += piece.size
    return min(size, sendable)


cdef bytes conn_take(Conn* conn):
    # Even without output: a paused session goes on by this call.
    conn_sent(conn, 0)
    data = _copy(conn, conn_sendable(conn))
    while conn_sendable(conn) > 0:
        # The room in the output has allowed more requests to be answered.
        data += _copy(conn, conn_sendable(conn))
    return data


cdef list conn_take_pieces(Conn* conn, size_t most, object engine):
    cdef size_t size
    cdef size_t taken = 0
    pieces = []
    conn_sent(conn, 0)
    while conn_sendable(conn) > 0 and taken < most:
        size = _small(conn, conn_sendable(conn))
        if size > 0:
            size = min(size, most)
            pieces.append(_copy(conn, size))
        else:
            size = conn.out.ring[conn.out.head].size
            pieces.append(_lend(conn.out.ring[conn.out.head], engine, True))
            conn_sent(conn, size)
        taken += size
    return pieces


cdef object conn_room(Conn* conn, object engine):
    cdef size_t size = 0
    if conn_buffer(conn, &size) == NULL:
        return None
    return _lend(Slice(conn.engine.lent, conn.engine.lent_offset, size), engine, False)


cdef size_t conn_feed(Conn* conn, const uint8_t* data, size_t size, double now) noexcept nogil:
    cdef size_t taken = 0
    cdef size_t room = 0
    cdef uint8_t* buffer
    while taken < size:
        buffer = conn_buffer(conn, &room)
        if buffer == NULL:
            break
        room = min(room, size - taken)
        memcpy(buffer, data + taken, room)
        conn_received(conn, room, now)
        taken += room
    return taken
