"""The base class of `Engine`: its methods for servers and counters."""

from mcroute._engine.plans cimport CompiledPlan
from mcroute._engine.state cimport Engine as EngineState, Server

cdef class EngineServers:
    cdef EngineState* state         # for drivers written in Cython
    cdef CompiledPlan compiled      # the installed plan
    cdef bint runs_routes           # users' code is running, which may switch to other threads
    cdef EngineState* own(self) except NULL
    cdef Server* server(self, int number) except NULL
