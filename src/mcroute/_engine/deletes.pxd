"""Requests that delete keys."""

from libc.stdint cimport uint8_t, uint32_t

# The requests that delete so many keys, a list of bytes. Each key is written as is_base64 and size, in a byte each,
# then the key.
cdef list deletes_of(const uint8_t* taken, uint32_t count)
