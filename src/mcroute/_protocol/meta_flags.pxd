"""The flags of meta requests."""

from libc.stdint cimport uint8_t

from mcroute._protocol.lexing cimport Line
from mcroute._protocol.views cimport RequestView

# Reads all flags of the line into the view, from view.flags_offset on; returns an ErrorText.
cdef int meta_flags_take(const uint8_t* data, Line* line, RequestView* view) noexcept nogil
