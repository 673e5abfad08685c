"""Requests that no server is asked and that the engine has no answer to: its driver has."""

from mcroute._engine.state cimport Engine, Request

# The request waits for the driver's answer; at its deadline it ends as any other does.
cdef void request_hand_over(Request* request) noexcept nogil
# The requests handed over since the last time: (address, command line without its end).
cdef list handed_take(Engine* engine)
# Nobody answers them any more.
cdef void handed_forget(Engine* engine) noexcept nogil
# Answers one of them, once.
cdef void handed_answer(Request* request, bytes reply)
