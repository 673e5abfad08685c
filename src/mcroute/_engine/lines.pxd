"""Replies that no server gave."""

from libc.stdint cimport uint8_t

# What the command is answered when `outcome` came of it without a server's words; NULL: nothing can be said.
cdef const char* plain_line(int command, int outcome) noexcept nogil
# What a client is told when no server could answer. `outcome` is one from REFUSED_BY_SERVER on.
cdef const char* error_line(int outcome) noexcept nogil
