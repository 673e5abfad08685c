"""From known replies to a session's output, in the order of the requests."""

from libc.stddef cimport size_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Conn, Engine, Request, Session

cdef void conn_mark(Conn* conn) noexcept nogil
cdef void conn_break(Conn* conn) noexcept nogil

# A request of the session, last in its order, or without a session a call. NULL without memory.
cdef Request* request_new(Engine* engine, Session* session) noexcept nogil
# The reply is known. The slice is referred to, not taken over.
cdef void request_answer(Request* request, Slice reply) noexcept nogil
cdef void request_answer_text(Request* request, const char* text, size_t size) noexcept nogil
# The result of a finished call has been taken.
cdef void request_taken(Request* request) noexcept nogil
# Nobody waits for the call any more, whether it has finished or not.
cdef void call_forget(Request* request) noexcept nogil
# Every part of a multiget has ended.
cdef void request_answer_joined(Request* request) noexcept nogil
# One walk of the request has ended for good; frees the request after the last, if it has been answered.
cdef void request_walk_ended(Request* request) noexcept nogil
# The client has gone: what is in flight for it runs on unobserved.
cdef void session_abandon(Session* session) noexcept nogil
# A multiget's round is over: no deadline runs until it goes on, since that is its client's affair.
cdef void request_wait(Request* request) noexcept nogil
# Queues the round's items for the client, and forgets them; a deadline runs again. False without memory.
cdef bint request_write_round(Request* request) noexcept nogil
# The session's first request, if it waits, may go on: others have been answered, or bytes been sent.
cdef void session_go_on(Session* session) noexcept nogil
