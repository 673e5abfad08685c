"""The loop itself: waits, reads, does jobs, writes."""

from libc.stdint cimport uint64_t

from mcroute._loop.state cimport Loop

# A loop with an engine that has no plan yet; NULL when the system has no memory or descriptor left. `notify_fd` is an
# eventfd, written when there are events for the supervising thread; `job_timeout` is in seconds, see jobs.pxd.
cdef Loop* loop_new(int notify_fd, uint64_t seed, double job_timeout) noexcept nogil
# Closes everything. The loop must not be running.
cdef void loop_free(Loop* loop) noexcept nogil
# Runs in the calling thread until loop_stop has been done.
cdef void loop_run(Loop* loop) noexcept nogil
# One turn of a loop that does not run, without waiting, at this time, which then stands still. Returns how many
# sockets were ready. For callers that keep the time, such as a simulation.
cdef int loop_step(Loop* loop, double now) noexcept nogil
# In a forked child: closes the child's copies of the descriptors, and leaves the parent's connections open.
cdef void loop_detach(Loop* loop) noexcept nogil

# ---- jobs ----

cdef void loop_stop(Loop* loop, void* nothing) noexcept nogil
# The supervising thread has taken all events: it is to be notified of later ones.
cdef void loop_acknowledge(Loop* loop, void* nothing) noexcept nogil
# Reads no more from clients; each session ends when its requests are answered.
cdef void sessions_end(Loop* loop, void* nothing) noexcept nogil
cdef void sessions_abort(Loop* loop, void* nothing) noexcept nogil
