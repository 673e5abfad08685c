"""Requests that are refused before any server is asked: malformed, too large, or there is no memory for them."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Engine, Session
from mcroute._protocol cimport RequestView

# Answers what the parser has refused, and reads past it, or closes the session.
cdef void session_turn_down(Session* session, const uint8_t* data, RequestView* view, bint closes) noexcept nogil
# The same for a session's first request that looks like a password.
cdef void session_refuse_password(Session* session, RequestView* view) noexcept nogil
# Refuses the value that has begun to come: the rest of it is read past. What has come is the caller's to drop. False if
# what has begun is no value.
cdef bint session_refuse(Session* session) noexcept nogil
# Refuses values that are on their way, the longest first, until the requests' share has room for that many bytes. False
# if the session itself would be next.
cdef bint requests_relieve(Engine* engine, Session* asker, size_t wanted) noexcept nogil
