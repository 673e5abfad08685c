"""Deferred requests: the driver answers them, not a server and not the engine.

The driver may build its answer in another thread: it gets a copy of the request, and a number, which stays harmless
after the client has disconnected or the deadline has come. The functions with an Engine are for the engine's thread;
the caller of deferred_take owns the result.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._engine.state cimport ClientRequest, Engine, Deferred

# Defers the request, which waits for the driver's answer until its deadline. Refuses it when Engine.deferred_max wait.
cdef void request_defer(ClientRequest* request) noexcept nogil
# Copies of the requests deferred since the last call, oldest first; NULL if there are none.
cdef Deferred* deferred_take(Engine* engine) noexcept nogil
# Answers one of them, once. False if it was answered before, or `number` is of no taken request.
cdef bint deferred_answer(Engine* engine, uint64_t number, const uint8_t* reply, size_t size) noexcept nogil
# Ends all deferred requests without an answer: all sessions are closed.
cdef void deferred_end_all(Engine* engine) noexcept nogil

# Returns taken requests as a list of (number, command line without its end), and frees them. Needs the GIL.
cdef list deferred_lines(Deferred* taken)
