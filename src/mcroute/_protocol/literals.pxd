"""Texts in C whose size the compiler counts: no caller has to."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, strlen

cdef extern from * nogil:
    """
    #define MCROUTE_CRLF "\\r\\n"
    #define MCROUTE_END "END\\r\\n"
    #define MCROUTE_NO_MEMORY "SERVER_ERROR out of memory\\r\\n"
    """
    const char* CRLF "MCROUTE_CRLF"
    size_t CRLF_SIZE "(sizeof(MCROUTE_CRLF) - 1)"
    const char* END_LINE "MCROUTE_END"
    size_t END_SIZE "(sizeof(MCROUTE_END) - 1)"
    const char* NO_MEMORY_LINE "MCROUTE_NO_MEMORY"

cdef enum:
    DEL = 0x7F

# `text` is a literal: where these are compiled in, its size is a constant, and so is memcmp's.
cdef inline bint text_is(const uint8_t* data, size_t size, const char* text) noexcept nogil:
    return size == strlen(text) and memcmp(data, text, strlen(text)) == 0


cdef inline bint text_begins(const uint8_t* data, size_t size, const char* text) noexcept nogil:
    return size >= strlen(text) and memcmp(data, text, strlen(text)) == 0


cdef inline bint is_digit(uint8_t letter) noexcept nogil:
    return c"0" <= letter <= c"9"
