"""The binary protocol is refused; this is its only reply."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    BINARY_MAGIC = 0x80         # the first byte of a request
    BINARY_HEADER = 24          # bytes of a request's header, and of a reply's
    BINARY_REFUSAL_MAX = 96     # bytes of a refusal

# The size of a binary request, header and body, from its header.
cdef uint64_t binary_size(const uint8_t* request) noexcept nogil
# Whether the request, quiet or not, asks to close the connection.
cdef bint binary_quits(const uint8_t* request) noexcept nogil
# Writes a reply to the request with this header: unknown command, its opaque, and a text. Returns its size.
cdef size_t binary_refusal(uint8_t* out, const uint8_t* request) noexcept nogil
