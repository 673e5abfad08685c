"""Output of sessions: writes replies in the order of the requests. Calls get their results here too."""

from libc.stddef cimport size_t
from libc.string cimport strlen

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport ClientRequest, Session

# Answers the request. The request takes a reference of its own to the reply's block.
cdef void request_answer(ClientRequest* request, Slice reply) noexcept nogil
cdef void request_answer_text(ClientRequest* request, const char* text, size_t size) noexcept nogil

cdef inline void request_answer_line(ClientRequest* request, const char* line) noexcept nogil:
    request_answer_text(request, line, strlen(line))

# Every part of a multiget has ended.
cdef void request_answer_joined(ClientRequest* request) noexcept nogil
# Ends the session's requests without a reply: those in flight run on, and their replies are discarded.
cdef void session_discard_requests(Session* session) noexcept nogil
# A multiget's round is over: the request has no deadline until it goes on, because it waits for its client.
cdef void request_wait(ClientRequest* request) noexcept nogil
# Queues the round's items for the client, and frees them; a new deadline begins. False without memory.
cdef bint request_write_round(ClientRequest* request) noexcept nogil
