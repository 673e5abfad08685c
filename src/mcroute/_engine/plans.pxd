"""The plan as the engine walks it: policy.nodes.Plan laid out in C."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from mcroute._engine.journal cimport Journal
from mcroute._engine.state cimport Description, Engine, PlanTable
from mcroute._engine.server_words cimport ServerWord

cdef struct AdmittedServer:     # server_ids.AdmittedServer in C
    int id
    bint is_new
    uint16_t cas_tag
    uint32_t trip_after         # from here on: the policy.server_options.ServerOptions that engines need
    double reply_timeout        # seconds
    uint64_t value_max          # 0: as large as the server stores
    ServerWord* word            # NULL: the engine's own, not shared
    Description* description    # likewise
    Journal* journal            # likewise

cdef class CompiledPlan:
    cdef PlanTable* table
    cdef AdmittedServer* servers
    cdef int server_count
    cdef object plan            # the policy's
    cdef tuple rings            # the pools'
    cdef tuple routes           # the users', of the nodes
    cdef dict ids               # server name -> id

# Makes the plan's servers known to the engine; call before engine_install. A new server begins in service, with
# counters of 0. False without memory.
cdef bint servers_admit(Engine* engine, const AdmittedServer* servers, int count) noexcept nogil
