"""A socket under one of the engine's connections: read when it has something, written once a turn."""

from libc.stdint cimport uint32_t

from mcroute._loop.state cimport Conn, Endpoint, Loop

# Takes the socket, which is closed with the endpoint; its bytes are plain, until `io` is set to another hook. False if
# the system cannot watch it.
cdef bint endpoint_open(Endpoint* end, Loop* loop, int kind, int fd, Conn* conn, uint32_t events) noexcept nogil
cdef void endpoint_close(Endpoint* end) noexcept nogil
cdef void endpoint_watch(Endpoint* end, uint32_t events) noexcept nogil
# Both return False when the connection is to be ended.
cdef bint endpoint_receive(Endpoint* end) noexcept nogil
cdef bint endpoint_flush(Endpoint* end) noexcept nogil
