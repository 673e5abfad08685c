"""Reply lines that the engine makes itself."""

from libc.stdint cimport uint8_t

# The reply to the command for an outcome without a server's reply; NULL: the command has no such reply.
cdef const char* plain_line(int command, int outcome) noexcept nogil
# The error line when no server could answer. `outcome` is REFUSED_BY_SERVER or a later one.
cdef const char* error_line(int outcome) noexcept nogil
