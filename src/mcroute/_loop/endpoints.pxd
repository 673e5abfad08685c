"""A socket under one of the engine's connections: read when bytes are there, written once a turn."""

from libc.stdint cimport uint32_t

from mcroute._loop.state cimport Conn, Endpoint, Loop

# The endpoint owns the socket and closes it. Bytes are not transformed until `io` is set to another hook.
# Returns False if epoll cannot watch the socket.
cdef bint endpoint_open(Endpoint* end, Loop* loop, int kind, int fd, Conn* conn, uint32_t events) noexcept nogil
cdef void endpoint_close(Endpoint* end) noexcept nogil
cdef void endpoint_watch(Endpoint* end, uint32_t events) noexcept nogil
# Both return False when the caller has to end the connection.
cdef bint endpoint_receive(Endpoint* end) noexcept nogil
cdef bint endpoint_flush(Endpoint* end) noexcept nogil
