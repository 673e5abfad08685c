"""The loop itself: waits, reads, does jobs, writes."""

from libc.stdint cimport uint64_t

from mcroute._loop.state cimport Loop

# A loop whose engine has no plan yet; NULL without memory or descriptors. `notify_fd` is an eventfd, written when there
# are events for the supervising thread; `job_timeout` is in seconds, see jobs.pxd.
cdef Loop* loop_new(int notify_fd, uint64_t seed, double job_timeout) noexcept nogil
# Closes all connections and frees the loop, which must not be running.
cdef void loop_free(Loop* loop) noexcept nogil
# Runs in the calling thread until the job loop_stop.
cdef void loop_run(Loop* loop) noexcept nogil
# Makes one turn of a loop that does not run, without waiting. `now` stays the loop's time until the next call.
# Returns the number of ready sockets. For callers with their own clock, as simulations have.
cdef int loop_step(Loop* loop, double now) noexcept nogil
# In a forked child: closes the child's copies of the descriptors, and leaves the parent's connections open.
cdef void loop_detach(Loop* loop) noexcept nogil

# ---- jobs ----

cdef void loop_stop(Loop* loop, void* nothing) noexcept nogil
# Acknowledges all events so far: the loop notifies the supervising thread of later ones.
cdef void loop_acknowledge(Loop* loop, void* nothing) noexcept nogil
# Stops reading from clients; each session ends when its requests are answered.
cdef void sessions_end(Loop* loop, void* nothing) noexcept nogil
cdef void sessions_abort(Loop* loop, void* nothing) noexcept nogil
