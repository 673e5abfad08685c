"""The incremental parser of replies."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._protocol.views cimport ReplyView

# Parses the first reply line (with its data block) of data[0:size]. A VALUE or VA larger than `value_max` is refused as
# soon as its line is there: PARSED_BAD.
cdef int reply_parse(const uint8_t* data, size_t size, uint64_t value_max, ReplyView* view) noexcept nogil
# The size of the VALUE that data[0:size] begins with, line and data block, if that is the whole item of this valid
# key, without a CAS token; otherwise 0: call reply_parse. Nearly every reply to a get is of this kind.
cdef size_t reply_item(const uint8_t* data, size_t size, const uint8_t* key, size_t key_size,
                       uint64_t value_max) noexcept nogil
