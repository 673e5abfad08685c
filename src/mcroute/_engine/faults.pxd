"""The culprit of a failed request, and the error line with its name.

A driver may change a server's description while engines on other threads read it to make an error line: they see the
description before or after the change, never a mixture.
"""

from libc.stddef cimport size_t

from mcroute._engine.state cimport FAULT_MAX, NAME_MAX, ClientRequest, Description

cdef enum:
    ERROR_LINE_MAX = 64 + NAME_MAX + FAULT_MAX

# For one thread at a time. Cuts both texts to fit. With an empty name, error lines do not mention the server.
cdef int description_write(Description* description, str name, str fault) except -1

# An ask of this server has failed with `outcome`.
cdef void request_set_culprit(ClientRequest* request, int server, int outcome) noexcept nogil
# The server at which the request failed with `outcome`; -1 if there is none.
cdef int request_culprit(const ClientRequest* request, int outcome) noexcept nogil
# Writes the error line for the client, with the culprit's name if it is known; returns its size.
cdef size_t request_error_line(const ClientRequest* request, int outcome, char* out) noexcept nogil
