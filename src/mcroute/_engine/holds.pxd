"""Keys that a write holds: once it has left its first stage, later requests for the key wait behind it.

A write that failed on one server is asked of another later than it came. A request that came in between, and went
to that other server at once, would otherwise be undone by the older write.
"""

from mcroute._engine.state cimport ClientRequest, Engine

# The request goes on at another server than the one that it was sent to, or begins later than it came.
cdef void hold_key(ClientRequest* request) noexcept nogil
# Whether the request, which has not begun, has to wait: then requests_resume begins it.
cdef bint hold_waits(ClientRequest* request) noexcept nogil
# Puts a chain of requests, or one, behind those that requests_resume is to begin, or to go on with.
cdef void release_requests(Engine* engine, ClientRequest* first, ClientRequest* last) noexcept nogil
# The last walk of a request that held a key has ended.
cdef void hold_release(ClientRequest* request) noexcept nogil
