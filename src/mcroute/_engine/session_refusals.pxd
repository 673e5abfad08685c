"""Requests that are refused before any server is asked: malformed, too large, or there is no memory for them."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Engine, Session
from mcroute._protocol cimport RequestView

# Answers the request that the parser has refused, and discards its bytes, or closes the session.
cdef void session_turn_down(Session* session, const uint8_t* data, RequestView* view, bint closes) noexcept nogil
# Answers a session's first request that looks like a password, and discards its bytes.
cdef void session_refuse_password(Session* session, RequestView* view) noexcept nogil
# Refuses the request whose value has begun to arrive, and discards the rest of its bytes; the caller discards those
# that have arrived. False if the input begins with no value.
cdef bint session_refuse(Session* session) noexcept nogil
# Refuses arriving values, the largest first, until the requests' share has room for `wanted` bytes. False if there is
# not enough room, or the requester's value would be next.
cdef bint requests_reclaim(Engine* engine, Session* requester, size_t wanted) noexcept nogil
