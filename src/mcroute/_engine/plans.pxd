"""The plan as the engine walks it: policy.nodes.Plan laid out in C."""

from mcroute._engine.state cimport PlanTable, Server

cdef class CompiledPlan:
    cdef PlanTable* table
    cdef object plan            # keeps the rings alive
    cdef list rings
    cdef dict ids               # server name -> id
