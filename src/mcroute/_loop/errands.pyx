"""Posting errands, and waiting for them: without the interpreter, so that no thread of Python's delays a loop by it."""

from libc.stdint cimport uint64_t

from mcroute._loop.system cimport (
    mcroute_await, mcroute_seconds, mcroute_signal_init, pthread_cond_broadcast, pthread_cond_destroy,
    pthread_cond_signal, pthread_cond_wait, pthread_mutex_destroy, pthread_mutex_init,
    pthread_mutex_lock, pthread_mutex_unlock, read, write,
)

# Seconds that are waited at a time. While a process is stopped, or its machine, only one of these passes.
cdef double SLICE = 1.0
# Seconds, far above what a turn takes. If a loop hangs, the clients of the others wait for so long.
cdef double MEETING = 1.0


# ---- posting ----

cdef void _post(Task* task) noexcept nogil:
    cdef Loop* loop = task.loop
    cdef uint64_t one = 1
    pthread_mutex_lock(&loop.callers)
    if not loop.is_running:
        if not loop.is_stepped:
            loop.now = mcroute_seconds()
        task.errand(loop, task.argument)
        task.is_done = True
        pthread_mutex_unlock(&loop.callers)
        return
    task.is_done = False
    pthread_mutex_lock(&loop.post)
    loop.errand = task.errand
    loop.argument = task.argument
    loop.is_done = False
    pthread_mutex_unlock(&loop.post)
    write(loop.mail.fd, &one, sizeof(one))


cdef bint _is_done(Loop* loop) noexcept nogil:
    """Waits for it, else takes it back. One under way is awaited: it uses the caller's memory."""
    # Whoever asks next of a loop that hangs does not wait as long once more.
    cdef double left = 0 if loop.is_late else loop.errand_timeout
    cdef double slice
    while not loop.is_done:
        if loop.errand == NULL:
            pthread_cond_wait(&loop.done, &loop.post)
        elif left <= 0:
            loop.errand = NULL
            loop.is_late = True
            return False
        else:
            slice = min(left, SLICE)
            if not mcroute_await(&loop.done, &loop.post, mcroute_seconds() + slice):
                left -= slice
    return True


cdef void _await(Task* task) noexcept nogil:
    if task.is_done:
        return
    pthread_mutex_lock(&task.loop.post)
    task.is_done = _is_done(task.loop)
    pthread_mutex_unlock(&task.loop.post)
    pthread_mutex_unlock(&task.loop.callers)


cdef void tasks_do(Task* tasks, int count) noexcept nogil:
    cdef int i
    for i in range(count):
        _post(&tasks[i])
    for i in range(count):
        _await(&tasks[i])


cdef bint loop_do(Loop* loop, Errand errand, void* argument) noexcept nogil:
    cdef Task task = Task(loop, errand, argument, False)
    tasks_do(&task, 1)
    return task.is_done


# ---- in the loop's thread ----

cdef void errand_run(Loop* loop) noexcept nogil:
    cdef uint64_t count
    cdef Errand errand
    read(loop.mail.fd, &count, sizeof(count))
    pthread_mutex_lock(&loop.post)
    errand = loop.errand
    loop.errand = NULL
    loop.is_late = False
    pthread_mutex_unlock(&loop.post)
    if errand == NULL:
        # Taken back: it was too late.
        return
    errand(loop, loop.argument)
    pthread_mutex_lock(&loop.post)
    loop.is_done = True
    pthread_cond_signal(&loop.done)
    pthread_mutex_unlock(&loop.post)


# ---- meetings ----

cdef void meeting_init(Meeting* meeting, const Task* tasks, int count) noexcept nogil:
    cdef int i
    pthread_mutex_init(&meeting.lock, NULL)
    mcroute_signal_init(&meeting.all_here)
    meeting.missing = 0
    for i in range(count):
        meeting.missing += tasks[i].loop.is_running
    meeting.until = mcroute_seconds() + MEETING


cdef void meeting_clear(Meeting* meeting) noexcept nogil:
    pthread_cond_destroy(&meeting.all_here)
    pthread_mutex_destroy(&meeting.lock)


cdef void meeting_await(Meeting* meeting) noexcept nogil:
    pthread_mutex_lock(&meeting.lock)
    meeting.missing -= 1
    if meeting.missing <= 0:
        pthread_cond_broadcast(&meeting.all_here)
    while meeting.missing > 0 and mcroute_await(&meeting.all_here, &meeting.lock, meeting.until):
        pass
    pthread_mutex_unlock(&meeting.lock)
