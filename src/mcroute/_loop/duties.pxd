"""What the supervising thread has a loop do with its engine. Each is an errand; its argument is said behind it."""

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
# The plan that was admitted last, when all loops have come to the meeting.
cdef void plan_install(Loop* loop, void* meeting) noexcept nogil            # Meeting
cdef void plan_count_refs(Loop* loop, void* argument) noexcept nogil        # Usage
cdef void server_see_if_idle(Loop* loop, void* argument) noexcept nogil     # Idleness
cdef void server_desyncs(Loop* loop, void* taken) noexcept nogil            # Desyncs
cdef void engine_limit(Loop* loop, void* bounds) noexcept nogil             # Bounds
cdef void sessions_count(Loop* loop, void* argument) noexcept nogil         # uint32_t
cdef void route_events_take(Loop* loop, void* argument) noexcept nogil      # RouteEvent*
cdef void route_orders_apply(Loop* loop, void* argument) noexcept nogil     # RouteOrders
cdef void handed_lines_take(Loop* loop, void* argument) noexcept nogil      # Handed*
cdef void handed_reply(Loop* loop, void* argument) noexcept nogil           # Answer

# No errands. While plans are unsettled, each turn looks whether they still are.
cdef void plans_settle(Loop* loop) noexcept nogil
# The loop ends: the others do not wait for its plans.
cdef void plans_abandon(Loop* loop) noexcept nogil
# On the supervisor's signal that it has ejected servers, what waits on these goes on elsewhere.
cdef void servers_fail_over(Loop* loop) noexcept nogil
# On another one: they have said how large their values may be.
cdef void servers_limit(Loop* loop) noexcept nogil
