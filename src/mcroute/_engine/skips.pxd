"""Replies that are not kept: too large, or there is no memory for them. Their bytes are read past, in step."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.blocks cimport Block
from mcroute._engine.state cimport Link
from mcroute._protocol cimport ReplyView

# Begins to read past the VALUE or VA whose line data begins with. Its request, and no other, will be refused with
# SERVER_ERROR. Returns how many bytes are done with; 0: that is no reply to the oldest request.
cdef size_t skip_begin(Link* link, const uint8_t* data, const ReplyView* view, int cause) noexcept nogil
# Reads on past it. Returns how many bytes are done with; 0: its end is no line end.
cdef size_t skip_on(Link* link, const uint8_t* data, size_t size) noexcept nogil
# What the request is refused with once its reply, of which a part was skipped, has ended; NULL without memory.
cdef Block* skip_refusal(Link* link) noexcept nogil
