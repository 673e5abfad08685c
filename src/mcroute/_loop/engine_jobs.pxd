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
    bint is_done                # result: False without memory

cdef struct Usage:
    PlanTable* table
    uint32_t refs               # result

cdef struct Idleness:
    int server
    bint is_idle                # result: the links are closed, and no request waits for them

cdef struct Feed:               # keys to be refilled
    const uint8_t* keys         # of each its size in a byte, then the key
    int count
    int source                  # ids of servers
    int target
    bint are_base64
    int accepted                # result

cdef struct Answer:
    uint64_t number
    const uint8_t* reply
    size_t size

cdef void plan_admit(Loop* loop, void* argument) noexcept nogil             # Admission
# Installs the plan that was admitted last, once all loops have reached the barrier or its time is up.
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
cdef void keys_refill(Loop* loop, void* argument) noexcept nogil            # Feed
cdef void wall_set(Loop* loop, void* argument) noexcept nogil               # double

# Not jobs: the loop calls these. Removes plans whose writes have ended from the unsettled plans, and opens claims.
cdef void plans_settle(Loop* loop) noexcept nogil
# Settles all plans when the loop ends, so that other loops do not wait for them.
cdef void plans_settle_all(Loop* loop) noexcept nogil
# Fails over the requests that wait for servers which the supervisor has ejected.
cdef void servers_fail_over(Loop* loop) noexcept nogil
# Takes the servers' item size limits from the shared state into the engine.
cdef void servers_limit(Loop* loop) noexcept nogil
