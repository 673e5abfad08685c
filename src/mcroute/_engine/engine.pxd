"""The engine's Python face."""

from mcroute._engine.plans cimport CompiledPlan
from mcroute._engine.state cimport Conn, Engine as EngineState, Server

cdef class Engine:
    cdef EngineState* state         # for drivers written in Cython
    cdef Server* servers
    cdef CompiledPlan compiled
    cdef dict conns                 # id -> address, of what is open
    cdef dict calls                 # number -> address, of requests whose results are wanted
    cdef Conn* conn(self, object number) except NULL
