"""The incremental parser of replies."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._protocol.views cimport ReplyView

# Parses the first reply line (with its data block) of data[0:size]. `value_max` caps VALUE and VA.
cdef int reply_parse(const uint8_t* data, size_t size, uint64_t value_max, ReplyView* view) noexcept nogil
