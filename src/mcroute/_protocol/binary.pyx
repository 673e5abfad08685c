"""Refusals for the binary protocol: some of its clients wait without end for any other reply, or after a close."""

from libc.string cimport memcpy, memset, strlen

cdef enum:
    REPLY_MAGIC = 0x81
    UNKNOWN_COMMAND = 0x81      # a status of memcached
    QUIT = 0x07
    QUIT_QUIETLY = 0x17

cdef const char* TEXT = b"mcroute speaks memcached's text protocol only"


cdef uint64_t binary_size(const uint8_t* request) noexcept nogil:
    return BINARY_HEADER + (<uint64_t>request[8] << 24 | request[9] << 16 | request[10] << 8 | request[11])


cdef bint binary_quits(const uint8_t* request) noexcept nogil:
    return request[1] == QUIT or request[1] == QUIT_QUIETLY


cdef size_t binary_refusal(uint8_t* out, const uint8_t* request) noexcept nogil:
    cdef size_t size = strlen(TEXT)
    memset(out, 0, BINARY_HEADER)
    out[0] = REPLY_MAGIC
    # The command's number.
    out[1] = request[1]
    out[7] = UNKNOWN_COMMAND
    out[11] = <uint8_t>size
    # The opaque.
    memcpy(out + 12, request + 12, 4)
    memcpy(out + BINARY_HEADER, TEXT, size)
    return BINARY_HEADER + size
