"""The loop itself: waits, reads what came, writes what it made, does errands."""

from libc.stdint cimport uint64_t

from mcroute._loop.state cimport Loop

# A loop with an engine that has no plan yet; NULL when the system has no memory or descriptor left. `bell` is an
# eventfd, rung when there is news for the supervising thread; `errand_timeout` is in seconds, see errands.pxd.
cdef Loop* loop_new(int bell, uint64_t seed, double errand_timeout) noexcept nogil
# Closes everything. The loop must not be running.
cdef void loop_free(Loop* loop) noexcept nogil
# Runs in the calling thread until loop_stop has been done.
cdef void loop_run(Loop* loop) noexcept nogil
# One turn of a loop that does not run, without waiting, at this time, which then stands still. Returns how many
# sockets were ready. For who keeps the time himself, as a simulation does.
cdef int loop_step(Loop* loop, double now) noexcept nogil
# To be called in a forked child: leaves the parent's connections to it.
cdef void loop_let_go(Loop* loop) noexcept nogil

# ---- what is asked of it, as errands ----

cdef void loop_stop(Loop* loop, void* nothing) noexcept nogil
# All news has been looked at: the bell is to be rung for later ones.
cdef void loop_heard(Loop* loop, void* nothing) noexcept nogil
# Takes no more from clients; each session ends when what has come is answered.
cdef void sessions_end(Loop* loop, void* nothing) noexcept nogil
cdef void sessions_abort(Loop* loop, void* nothing) noexcept nogil
