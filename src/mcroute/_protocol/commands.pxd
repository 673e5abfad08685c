"""The words of commands."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

# The command that the word names, as views.Command; -1 when it is none.
cdef int command_find(const uint8_t* word, size_t size) noexcept nogil
# The word of a command; *size receives its length.
cdef const char* command_text(int command, size_t* size) noexcept nogil
# The reply to version; *size receives its length.
cdef const char* version_line(size_t* size) noexcept nogil
# True for memcached's words of administration, which a proxy does not pass on: shutdown, watch, slabs ...
cdef bint command_is_withheld(const uint8_t* word, size_t size) noexcept nogil
