"""Output of sessions: from known replies to bytes, in the order of the requests. Calls get their results here too."""

from libc.stddef cimport size_t
from libc.string cimport strlen

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport ClientRequest, Session

# The reply is known. The slice is referred to, not taken over.
cdef void request_answer(ClientRequest* request, Slice reply) noexcept nogil
cdef void request_answer_text(ClientRequest* request, const char* text, size_t size) noexcept nogil

cdef inline void request_answer_line(ClientRequest* request, const char* line) noexcept nogil:
    request_answer_text(request, line, strlen(line))

# Every part of a multiget has ended.
cdef void request_answer_joined(ClientRequest* request) noexcept nogil
# The client has gone: what is in flight for it runs on unobserved.
cdef void session_abandon(Session* session) noexcept nogil
# A multiget's round is over: no deadline runs until it goes on, since that is its client's affair.
cdef void request_wait(ClientRequest* request) noexcept nogil
# Queues the round's items for the client, and forgets them; a deadline runs again. False without memory.
cdef bint request_write_round(ClientRequest* request) noexcept nogil
