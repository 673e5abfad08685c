"""Requests that no server is asked and that the engine has no answer to: its driver has.

The driver may answer from another thread: what it is told is a copy, and a request goes by its number, which
stays harmless when the client has gone or the deadline has come. The functions of the engine are for the engine's
thread; what they hand out belongs to whoever took it.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._engine.state cimport ClientRequest, Engine, Deferred

# The request waits for the driver's answer; at its deadline it ends as any other does. When Engine.deferred_max wait,
# it is refused.
cdef void request_hand_over(ClientRequest* request) noexcept nogil
# The requests handed over since the last time, in this order; NULL if there are none.
cdef Deferred* deferred_take(Engine* engine) noexcept nogil
# Answers one of them, once; False if it has been answered, or never was.
cdef bint deferred_answer(Engine* engine, uint64_t number, const uint8_t* reply, size_t size) noexcept nogil
# Nobody answers them any more, and nobody waits: the sessions have gone.
cdef void deferred_forget(Engine* engine) noexcept nogil

# What was taken as a list of (number, command line without its end); frees it. In the interpreter's thread.
cdef list deferred_lines(Deferred* taken)
