"""The engine's Python face."""

from mcroute._engine.generators cimport RouteRunner
from mcroute._engine.plans cimport CompiledPlan
from mcroute._engine.state cimport Conn, Engine as EngineState, Link, Server

cdef class Engine:
    cdef EngineState* state         # for drivers written in Cython
    cdef CompiledPlan compiled
    cdef CompiledPlan admitted      # not installed yet; else None
    cdef list older                 # plans that requests in flight may still refer to
    cdef object roster
    cdef unsigned char[::1] memory  # for the servers' words, if these are to outlive the process
    cdef dict conns                 # id -> address, of what is open
    cdef RouteRunner routes
    cdef dict scripts               # number of a link -> its handshake, whose bytes it points into
    cdef dict calls                 # number -> address, of requests whose results are wanted
    cdef _run_routes(self)
    cdef Server* server(self, int number) except NULL
    cdef Link* link(self, int server, int index) except NULL
    cdef Conn* conn(self, object number) except NULL
    cdef _lend_words(self, CompiledPlan compiled)
