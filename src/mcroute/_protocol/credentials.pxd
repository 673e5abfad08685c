"""What looks like a client that authenticates: memcached with -Y takes a connection's first `set` for that."""

from libc.stdint cimport uint8_t

from mcroute._protocol.views cimport RequestView

# Whether the set, which may be refused for its numbers, is sent to authenticate: its key is one that clients use for
# that, or any if `any_key`, and its value, if it was parsed, a user and a password.
cdef bint is_authentication(const uint8_t* data, const RequestView* view, bint any_key) noexcept nogil
