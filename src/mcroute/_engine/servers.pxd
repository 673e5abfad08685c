"""The part of the engine's Python face that is about servers and counters: the base of `Engine`."""

from mcroute._engine.plans cimport CompiledPlan
from mcroute._engine.state cimport Engine as EngineState, Server

cdef class EngineServers:
    cdef EngineState* state         # for drivers written in Cython
    cdef CompiledPlan compiled      # the installed plan
    cdef bint runs_routes           # users' code, which may let other threads go on
    cdef EngineState* own(self) except NULL
    cdef Server* server(self, int number) except NULL
