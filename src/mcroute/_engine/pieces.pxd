"""The engine's memory as Python objects: a connection's output, and buffers to read into."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Conn

# All sendable output, copied, and counted as sent.
cdef bytes conn_take(Conn* conn)
# As conn_take, as a list of bytes and memoryviews; `engine` is the Python object that the connection belongs to.
cdef list conn_take_pieces(Conn* conn, size_t most, object engine)
# The buffer of conn_buffer as a writable memoryview; None when nothing may be read now.
cdef object conn_room(Conn* conn, object engine)
# Copies bytes in, and parses them. Returns the number taken: fewer if the session pauses or the connection breaks.
cdef size_t conn_feed(Conn* conn, const uint8_t* data, size_t size, double now) noexcept nogil
