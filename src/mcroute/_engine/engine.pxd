"""The engine's Python face."""

from libc.stdint cimport uint8_t

from mcroute._engine.generators cimport RouteRunner
from mcroute._engine.plans cimport CompiledPlan
from mcroute._engine.servers cimport EngineServers
from mcroute._engine.state cimport Conn, Link

cdef class Engine(EngineServers):
    cdef CompiledPlan admitted      # not installed yet; else None
    cdef list older                 # plans that requests in flight may still refer to
    cdef object known_servers       # ServerIds
    cdef bint is_planning           # a thread admits or installs a plan
    cdef unsigned char[::1] memory  # for the servers' state words, if these are to outlive the process
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
    cdef _lend_words(self, CompiledPlan compiled)
    # `_forget` and `_in_use` are to be called in the critical section, the others enter it themselves.
    cdef int _begin_plan(self) except -1
    cdef int _end_plan(self) except -1
    cdef dict _admit(self, plan, renamed)
    cdef bint _has_admitted(self, plan) except -1
    cdef int _install(self) except -1
    cdef _free_plans(self)
    cdef bint _in_use(self, int server) except -1
