"""memcached ignores key and numbers of such a set; clients write the key `auth`, folsom `ASCII_AUTH`."""

from libc.stddef cimport size_t

from mcroute._protocol.literals cimport DEL, text_is
from mcroute._protocol.views cimport CMD_SET, REQ_NOREPLY

cdef enum:
    CREDENTIALS_MAX = 512       # bytes; a line of memcached's file of users has at most half of that


cdef bint _is_known(const uint8_t* key, size_t size) noexcept nogil:
    return text_is(key, size, b"auth") or text_is(key, size, b"ASCII_AUTH")


cdef bint _are_two_words(const uint8_t* value, size_t size) noexcept nogil:
    """With one blank between them."""
    cdef size_t blank = 0
    cdef size_t i
    for i in range(size):
        if value[i] == c" " and blank == 0:
            blank = i
        elif value[i] <= c" " or value[i] == DEL:
            return False
    return 0 < blank < size - 1


cdef bint is_authentication(const uint8_t* data, const RequestView* view, bint any_key) noexcept nogil:
    if view.command != CMD_SET or view.key_size == 0 or view.value_size > CREDENTIALS_MAX or view.flags & REQ_NOREPLY:
        return False
    if view.error != 0:
        return _is_known(data + view.key_offset, view.key_size)
    return (_are_two_words(data + view.value_offset, view.value_size)
            and (any_key or _is_known(data + view.key_offset, view.key_size)))
