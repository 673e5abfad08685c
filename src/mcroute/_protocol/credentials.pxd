"""Recognises a client that authenticates: memcached with -Y expects credentials in a connection's first `set`."""

from libc.stdint cimport uint8_t

from mcroute._protocol.views cimport RequestView

# Whether the set, even one with bad numbers, is an attempt to authenticate: its key is one that clients use for
# that, or any if `any_key`, and its value, if it was parsed, a user and a password.
cdef bint is_authentication(const uint8_t* data, const RequestView* view, bint any_key) noexcept nogil
