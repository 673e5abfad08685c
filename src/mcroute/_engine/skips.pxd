"""Skips replies that are too large, or for which there is no memory; the link stays in step."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.blocks cimport Block
from mcroute._engine.state cimport Link
from mcroute._protocol cimport ReplyView

# Begins to skip the VALUE or VA whose line is at the front of `data`. Its request, and no other, will be refused with
# SERVER_ERROR. Returns the number of bytes skipped; 0: it is no reply to the oldest request.
cdef size_t skip_begin(Link* link, const uint8_t* data, const ReplyView* view, int cause) noexcept nogil
# Skips more bytes of the value. Returns their number; 0: the value does not end in a line end.
cdef size_t skip_on(Link* link, const uint8_t* data, size_t size) noexcept nogil
# The error line for a request after the end of its reply, of which a part was skipped; NULL without memory.
cdef Block* skip_refusal(Link* link) noexcept nogil
