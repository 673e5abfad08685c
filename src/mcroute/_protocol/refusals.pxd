"""The replies to refused requests: memcached 1.6.45's, where it has any."""

from libc.stddef cimport size_t

cdef enum ErrorText:
    ERROR_NONE = 0              # nothing to answer: noreply, or a foreign protocol
    ERROR_UNKNOWN
    ERROR_FORMAT
    ERROR_CHUNK
    ERROR_TOO_LARGE
    ERROR_LINE_LONG         # of a reply, or a get, see request_part; a client is closed, as by memcached
    ERROR_EXPTIME
    ERROR_DELTA
    ERROR_FLAG
    ERROR_FLAG_TWICE
    ERROR_FLAG_EITHER
    ERROR_TOKEN
    ERROR_OPAQUE
    ERROR_OPTIONS
    ERROR_MODE_SET
    ERROR_MODE_ARITHMETIC
    ERROR_KEY_CODE
    ERROR_DELTA_VALUE
    ERROR_INITIAL_VALUE
    ERROR_NOT_OFFERED
    ERROR_TOO_LARGE_SILENT  # ERROR_TOO_LARGE to a noreply
    ERROR_NO_MEMORY
    ERROR_AUTHENTICATION
    ERROR_BINARY            # the reply is none of these lines, see binary.pxd
    ERROR_TLS               # a connection begins so; its client could not read any reply
    ERROR_RESP
    ERROR_SSH
    ERROR_TEXT_COUNT

# The line to answer a refused request with, CRLF included; *size receives its length, 0 for "just close".
cdef const char* error_text(int error, size_t* size) noexcept nogil
