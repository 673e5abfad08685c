"""The base class of `Engine`: its methods for plans, servers and counters."""

from cpython.buffer cimport Py_buffer
from cpython.ref cimport PyObject

from mcroute._engine.journals cimport JournalSaver
from mcroute._engine.plans cimport CompiledPlan
from mcroute._engine.state cimport Engine as EngineState, Server

cdef class EngineServers:
    cdef EngineState* state         # for drivers written in Cython
    cdef CompiledPlan compiled      # the installed plan
    cdef CompiledPlan admitted      # not installed yet; else None
    cdef tuple older                # plans that requests may still refer to; the collector does not clear a tuple
    cdef object known_servers       # ServerIds
    cdef bint is_planning           # a thread admits or installs a plan
    cdef Py_buffer memory           # for the servers' state words, if these are to outlive the process
    cdef PyObject* memory_owner     # a reference that the garbage collector does not see
    cdef JournalSaver saver         # None: journals end with the process
    cdef bint runs_routes           # users' code is running, which may switch to other threads
    cdef EngineState* own(self) except NULL
    cdef Server* server(self, int number) except NULL
    cdef _lend_words(self, CompiledPlan compiled)
    # `_free_plans` and `_in_use` are to be called in the critical section, the others enter it themselves.
    cdef int _begin_plan(self) except -1
    cdef int _end_plan(self) except -1
    cdef dict _admit(self, plan, renamed)
    cdef bint _has_admitted(self, plan) except -1
    cdef int _install(self) except -1
    cdef _free_plans(self)
    cdef bint _in_use(self, int server) except -1
