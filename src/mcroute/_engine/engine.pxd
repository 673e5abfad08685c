"""The engine's Python face."""

from libc.stdint cimport uint8_t

from mcroute._engine.generators cimport RouteRunner
from mcroute._engine.servers cimport EngineServers
from mcroute._engine.state cimport Conn, Link

cdef class Engine(EngineServers):
    cdef dict conns                 # number -> address, of sessions and links
    cdef RouteRunner routes
    cdef dict scripts               # number of a link -> its handshake, whose bytes the link points into
    cdef dict held                  # number of a paused session -> a bytearray of the bytes that it has not parsed
    cdef set ended                  # numbers of sessions whose clients send no more
    cdef dict culprits              # number of a failed call -> server, of the last take_results
    cdef dict calls                 # number -> address, of calls whose results are wanted
    cdef _run_routes(self)
    cdef hold(self, number, const uint8_t[::1] data)
    cdef go_on(self, number, Conn* conn)
    cdef end(self, number, Conn* conn)
    cdef bint is_readable(self, number, Conn* conn)
    cdef Link* link(self, int server, int index) except NULL
    cdef Conn* conn(self, object number) except NULL
