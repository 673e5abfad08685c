"""Errands: work that one thread gives to others, which a loop does between two of its turns."""

from mcroute._loop.state cimport Errand, Loop
from mcroute._loop.system cimport pthread_cond_t, pthread_mutex_t

cdef struct Task:
    Loop* loop
    Errand errand
    void* argument
    bint is_done                # afterwards

# Has each task done in its loop's thread, and waits until they are; in the calling one if the loop does not run. All
# are posted before the first is waited for: they may wait for each other. One that its loop does not begin in time is
# taken back, and not done later either; once it has begun, it is waited for to its end.
cdef void tasks_do(Task* tasks, int count) noexcept nogil
# One task; whether it was done.
cdef bint loop_do(Loop* loop, Errand errand, void* argument) noexcept nogil
# In the loop's thread: the errand that its mail is about.
cdef void errand_run(Loop* loop) noexcept nogil

# Where errands of several loops wait for each other, so that no turn is made by any between what they do there.
cdef struct Meeting:
    pthread_mutex_t lock
    pthread_cond_t all_here
    int missing
    double until                # nobody waits longer than that

cdef void meeting_init(Meeting* meeting, const Task* tasks, int count) noexcept nogil
cdef void meeting_clear(Meeting* meeting) noexcept nogil
cdef void meeting_await(Meeting* meeting) noexcept nogil
