"""Posts jobs and awaits them without the interpreter, so that no Python thread delays a loop."""

from libc.stdint cimport uint64_t

from mcroute._loop.system cimport (
    mcroute_await, mcroute_seconds, mcroute_signal_init, pthread_cond_broadcast, pthread_cond_destroy,
    pthread_cond_signal, pthread_cond_wait, pthread_mutex_destroy, pthread_mutex_init,
    pthread_mutex_lock, pthread_mutex_unlock, read, write,
)

# Seconds of one wait. A stop of the process or its machine uses up only one slice of the timeout.
cdef double SLICE = 1.0
# Seconds, far above a turn's duration. If a loop hangs, the clients of the other loops wait this long.
cdef double BARRIER_TIMEOUT = 1.0


# ---- posting ----

cdef void _post(PostedJob* posted) noexcept nogil:
    cdef Loop* loop = posted.loop
    cdef uint64_t one = 1
    pthread_mutex_lock(&loop.callers)
    if not loop.is_running:
        if not loop.is_stepped:
            loop.now = mcroute_seconds()
        posted.job(loop, posted.argument)
        posted.is_done = True
        pthread_mutex_unlock(&loop.callers)
        return
    posted.is_done = False
    pthread_mutex_lock(&loop.post)
    loop.job = posted.job
    loop.argument = posted.argument
    loop.is_done = False
    pthread_mutex_unlock(&loop.post)
    write(loop.wakeup.fd, &one, sizeof(one))


cdef bint _is_done(Loop* loop) noexcept nogil:
    """Awaits the job, or takes it back at the timeout. A job that has begun uses the caller's memory: it is awaited."""
    # After a timeout, the next callers of the same loop do not wait again.
    cdef double left = 0 if loop.is_late else loop.job_timeout
    cdef double slice
    while not loop.is_done:
        if loop.job == NULL:
            pthread_cond_wait(&loop.done, &loop.post)
        elif left <= 0:
            loop.job = NULL
            loop.is_late = True
            return False
        else:
            slice = min(left, SLICE)
            if not mcroute_await(&loop.done, &loop.post, mcroute_seconds() + slice):
                left -= slice
    return True


cdef void _await(PostedJob* posted) noexcept nogil:
    if posted.is_done:
        return
    pthread_mutex_lock(&posted.loop.post)
    posted.is_done = _is_done(posted.loop)
    pthread_mutex_unlock(&posted.loop.post)
    pthread_mutex_unlock(&posted.loop.callers)


cdef void jobs_do(PostedJob* posted, int count) noexcept nogil:
    cdef int i
    for i in range(count):
        _post(&posted[i])
    for i in range(count):
        _await(&posted[i])


cdef bint loop_do(Loop* loop, Job job, void* argument) noexcept nogil:
    cdef PostedJob posted = PostedJob(loop, job, argument, False)
    jobs_do(&posted, 1)
    return posted.is_done


# ---- in the loop's thread ----

cdef void job_run(Loop* loop) noexcept nogil:
    cdef uint64_t count
    cdef Job job
    read(loop.wakeup.fd, &count, sizeof(count))
    pthread_mutex_lock(&loop.post)
    job = loop.job
    loop.job = NULL
    loop.is_late = False
    pthread_mutex_unlock(&loop.post)
    if job == NULL:
        # The caller has taken the job back.
        return
    job(loop, loop.argument)
    pthread_mutex_lock(&loop.post)
    loop.is_done = True
    pthread_cond_signal(&loop.done)
    pthread_mutex_unlock(&loop.post)


# ---- barriers ----

cdef void barrier_init(Barrier* barrier, const PostedJob* posted, int count) noexcept nogil:
    cdef int i
    pthread_mutex_init(&barrier.lock, NULL)
    mcroute_signal_init(&barrier.all_here)
    barrier.missing = 0
    for i in range(count):
        barrier.missing += posted[i].loop.is_running
    barrier.until = mcroute_seconds() + BARRIER_TIMEOUT


cdef void barrier_clear(Barrier* barrier) noexcept nogil:
    pthread_cond_destroy(&barrier.all_here)
    pthread_mutex_destroy(&barrier.lock)


cdef void barrier_await(Barrier* barrier) noexcept nogil:
    pthread_mutex_lock(&barrier.lock)
    barrier.missing -= 1
    if barrier.missing <= 0:
        pthread_cond_broadcast(&barrier.all_here)
    while barrier.missing > 0 and mcroute_await(&barrier.all_here, &barrier.lock, barrier.until):
        pass
    pthread_mutex_unlock(&barrier.lock)
