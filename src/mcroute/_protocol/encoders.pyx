"""Encoders of canonical requests."""

from libc.string cimport memcpy, strlen

from mcroute._hashing.words cimport store_decimal
from mcroute._protocol.commands cimport command_text
from mcroute._protocol.literals cimport CRLF, CRLF_SIZE, text_is
from mcroute._protocol.views cimport CMD_CAS, CMD_DELETE, CMD_GET, CMD_GETS, CMD_TOUCH


cdef inline uint8_t* _write(uint8_t* out, const void* text, size_t size) noexcept nogil:
    memcpy(out, text, size)
    return out + size


cdef uint8_t* _write_number(uint8_t* out, uint64_t number) noexcept nogil:
    out[0] = c" "
    return out + 1 + store_decimal(out + 1, number)


cdef uint8_t* _write_signed(uint8_t* out, int64_t number) noexcept nogil:
    cdef uint8_t* end
    if number >= 0:
        return _write_number(out, number)
    end = _write_number(out + 1, <uint64_t>0 - <uint64_t>number)
    out[0] = c" "
    out[1] = c"-"
    return end


cdef uint8_t* _write_head(uint8_t* out, int command, const uint8_t* key, size_t key_size) noexcept nogil:
    cdef size_t size = 0
    cdef const char* word = command_text(command, &size)
    out = _write(out, word, size)
    out[0] = c" "
    return _write(out + 1, key, key_size)


cdef size_t encode_get(uint8_t* out, const uint8_t* key, size_t key_size, bint with_cas) noexcept nogil:
    return _write(_write_head(out, CMD_GETS if with_cas else CMD_GET, key, key_size), CRLF, CRLF_SIZE) - out


cdef size_t encode_store(uint8_t* out, int command, const uint8_t* key, size_t key_size, uint64_t client_flags,
                         int64_t exptime, uint64_t value_size, uint64_t unique) noexcept nogil:
    cdef uint8_t* at = _write_number(_write_head(out, command, key, key_size), client_flags)
    at = _write_number(_write_signed(at, exptime), value_size)
    if command == CMD_CAS:
        at = _write_number(at, unique)
    return _write(at, CRLF, CRLF_SIZE) - out


cdef size_t encode_delete(uint8_t* out, const uint8_t* key, size_t key_size) noexcept nogil:
    cdef uint8_t* at = _write_head(out, CMD_DELETE, key, key_size)
    if text_is(key, key_size, b"noreply"):
        # memcached takes this key for the word, unless it is followed by the 0 that nobody heeds any more.
        at = _write(at, b" 0", strlen(b" 0"))
    return _write(at, CRLF, CRLF_SIZE) - out


cdef size_t encode_arithmetic(uint8_t* out, int command, const uint8_t* key, size_t key_size,
                              uint64_t delta) noexcept nogil:
    return _write(_write_number(_write_head(out, command, key, key_size), delta), CRLF, CRLF_SIZE) - out


cdef size_t encode_touch(uint8_t* out, const uint8_t* key, size_t key_size, int64_t exptime) noexcept nogil:
    return _write(_write_signed(_write_head(out, CMD_TOUCH, key, key_size), exptime), CRLF, CRLF_SIZE) - out
