"""Which server a request has failed at, and what is told of that.

A server is described in words that its driver may change while engines on other threads read them: a description is
read only to make the line of an error, and as it was before or after a change, never as something between.
"""

from libc.stddef cimport size_t

from mcroute._engine.state cimport FAULT_MAX, NAME_MAX, ClientRequest, Description

cdef enum:
    ERROR_LINE_MAX = 64 + NAME_MAX + FAULT_MAX

# For one thread at a time. Both texts are cut to fit, and an empty name says that nothing is to be told.
cdef int description_write(Description* description, str name, str fault) except -1

# An ask of this server has ended in one of the outcomes that are failures.
cdef void request_blame(ClientRequest* request, int server, int outcome) noexcept nogil
# The server whose outcome is the request's, -1 if it is none's.
cdef int request_culprit(const ClientRequest* request, int outcome) noexcept nogil
# The line that the client is told, with the server's name if that is known; returns its size.
cdef size_t request_error_line(const ClientRequest* request, int outcome, char* out) noexcept nogil
