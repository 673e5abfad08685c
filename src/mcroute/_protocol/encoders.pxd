"""Encoders of canonical requests."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

# Each needs room for key_size + ENCODE_EXTRA bytes and returns what it wrote.
cdef enum:
    ENCODE_EXTRA = 96
cdef size_t encode_get(uint8_t* out, const uint8_t* key, size_t key_size, bint with_cas) noexcept nogil
# The header line only; the caller sends the value and CRLF behind it. `unique` is written for CMD_CAS.
cdef size_t encode_store(uint8_t* out, int command, const uint8_t* key, size_t key_size, uint64_t client_flags,
                         int64_t exptime, uint64_t value_size, uint64_t unique) noexcept nogil
cdef size_t encode_delete(uint8_t* out, const uint8_t* key, size_t key_size) noexcept nogil
cdef size_t encode_arithmetic(uint8_t* out, int command, const uint8_t* key, size_t key_size,
                              uint64_t delta) noexcept nogil
cdef size_t encode_touch(uint8_t* out, const uint8_t* key, size_t key_size, int64_t exptime) noexcept nogil
