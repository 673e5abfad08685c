"""Jobs on a loop's engine. The comment after each one names the type of its argument."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.plans cimport AdmittedServer
from mcroute._engine.state cimport PlanTable
from mcroute._loop.state cimport Loop

cdef struct Admission:
    AdmittedServer* servers
    int count
    PlanTable* table
    bint is_done                # afterwards; False without memory

cdef struct Usage:
    PlanTable* table
    uint32_t refs               # afterwards

cdef struct Idleness:
    int server
    bint is_idle                # afterwards: its links are closed, and nothing waits for them

cdef struct Answer:
    uint64_t number
    const uint8_t* reply
    size_t size

cdef void plan_admit(Loop* loop, void* argument) noexcept nogil             # Admission
# Installs the plan that was admitted last, when all loops have arrived at the barrier.
cdef void plan_install(Loop* loop, void* barrier) noexcept nogil            # Barrier
cdef void plan_count_refs(Loop* loop, void* argument) noexcept nogil        # Usage
cdef void server_see_if_idle(Loop* loop, void* argument) noexcept nogil     # Idleness
cdef void server_desyncs(Loop* loop, void* taken) noexcept nogil            # Desyncs
cdef void engine_limit(Loop* loop, void* bounds) noexcept nogil             # Bounds
cdef void sessions_count(Loop* loop, void* argument) noexcept nogil         # uint32_t
cdef void route_events_take(Loop* loop, void* argument) noexcept nogil      # RouteEvent*
cdef void route_orders_apply(Loop* loop, void* argument) noexcept nogil     # RouteOrders
cdef void deferred_lines_take(Loop* loop, void* argument) noexcept nogil      # Deferred*
cdef void deferred_lines_answer(Loop* loop, void* argument) noexcept nogil           # Answer

# Called by the loop, not as jobs: each turn checks whether unsettled plans still are.
cdef void plans_settle(Loop* loop) noexcept nogil
# The loop ends: the others do not wait for its plans.
cdef void plans_abandon(Loop* loop) noexcept nogil
# The supervisor has ejected servers: requests that wait for them fail over.
cdef void servers_fail_over(Loop* loop) noexcept nogil
# The largest value of some server is known.
cdef void servers_limit(Loop* loop) noexcept nogil
