"""The incremental parser of requests.

A parser is a pure function of the bytes at hand: it either completes one message, asks for more, or
refuses. Callers keep the unconsumed tail and call again with more of it behind.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._protocol.views cimport Limits, RequestView

# Parses the first request of data[0:size]. `first` is true for the first bytes of a connection, where
# TLS, RESP and SSH are recognised and refused, and the binary protocol too, see request_binary. Never reads
# behind size, never allocates.
cdef int request_parse(const uint8_t* data, size_t size, const Limits* limits, bint first,
                       RequestView* view) noexcept nogil
# The same, when data[0:scanned] is known to hold no line feed, because that was all there was when the parser
# returned PARSED_MORE with view.line_size 0: a long line that comes in small pieces is searched only once.
cdef int request_resume(const uint8_t* data, size_t size, size_t scanned, const Limits* limits, bint first,
                        RequestView* view) noexcept nogil
# Keys of a get or gets whose line is longer than the limits allow: request_parse says PARSED_CLOSE, ERROR_LINE_LONG and
# the command. Its first part begins where the line does, the next ones each where the last one has ended, with the
# blank before a key, and are `resumed`. REQ_OPEN: the line goes on, behind a refused part too. A part may have no key.
cdef int request_part(const uint8_t* data, size_t size, size_t scanned, const Limits* limits, int command,
                      bint resumed, RequestView* view) noexcept nogil
# The same on a connection whose first request was refused with ERROR_BINARY: the client speaks the binary protocol
# to the end. A quit is PARSED_CLOSE with ERROR_BINARY: its view.size bytes are swallowed before the connection closes.
cdef int request_binary(const uint8_t* data, size_t size, RequestView* view) noexcept nogil
# The limits that memcached has with its default options, 1 MiB values.
cdef Limits default_limits() noexcept nogil
