"""Jobs: work that one thread posts to other threads' loops; a loop does its job between two of its turns."""

from mcroute._loop.state cimport Job, Loop
from mcroute._loop.system cimport pthread_cond_t, pthread_mutex_t

cdef struct PostedJob:
    Loop* loop
    Job job
    void* argument
    bint is_done                # result

# Does each job in its loop's thread, or in the calling thread if that loop does not run. All jobs are posted before the
# first is awaited: they may wait for each other. A job that its loop does not begin in time is taken back (`is_done`).
cdef void jobs_do(PostedJob* posted, int count) noexcept nogil
# Does one job. Returns whether the job was done.
cdef bint loop_do(Loop* loop, Job job, void* argument) noexcept nogil
# In the loop's thread: does the posted job.
cdef void job_run(Loop* loop) noexcept nogil

# Jobs of several loops wait here for each other, so that no loop makes a turn before all have arrived.
cdef struct Barrier:
    pthread_mutex_t lock
    pthread_cond_t all_here
    int missing
    double until                # the wait ends at this time in any case

cdef void barrier_init(Barrier* barrier, const PostedJob* posted, int count) noexcept nogil
cdef void barrier_clear(Barrier* barrier) noexcept nogil
cdef void barrier_await(Barrier* barrier) noexcept nogil
