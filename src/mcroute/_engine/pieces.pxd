"""The engine's memory as Python objects: what a connection has to send, and room to read into."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Conn

# All of it as one object, copied once; taken as sent.
cdef bytes conn_take(Conn* conn)
# The same as a list of bytes and memoryviews; `engine` is the Python object that the connection belongs to.
cdef list conn_take_pieces(Conn* conn, size_t most, object engine)
# What conn_buffer lends, as a writable memoryview; None when nothing may be read now.
cdef object conn_room(Conn* conn, object engine)
# Copies bytes in. How many it took: fewer when the session is paused by then, or the connection is to be closed.
cdef size_t conn_feed(Conn* conn, const uint8_t* data, size_t size, double now) noexcept nogil
