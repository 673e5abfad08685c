"""Keys that a write holds: once it has left its first stage, later requests for the key wait behind it.

A write that failed on one server goes to another one later than it arrived. Without a hold it could overwrite a newer
write that went to that server at once.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.state cimport ClientRequest, Engine

# Call when the request goes on at another server than it was sent to, or begins later than it arrived.
cdef void hold_key(ClientRequest* request) noexcept nogil
# Whether a write holds the key.
cdef bint hold_exists(Engine* engine, const uint8_t* key, size_t size) noexcept nogil
# Whether the request, which has not begun, has to wait: then requests_resume begins it.
cdef bint hold_waits(ClientRequest* request) noexcept nogil
# Appends a chain of requests, or one, to the requests that requests_resume is to begin, or to go on with.
cdef void release_requests(Engine* engine, ClientRequest* first, ClientRequest* last) noexcept nogil
# The last walk of a request that held a key has ended.
cdef void hold_release(ClientRequest* request) noexcept nogil
