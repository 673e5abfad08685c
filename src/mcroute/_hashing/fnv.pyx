"""The hash of Fowler, Noll and Vo: 32 and 64 bits, over bytes and over C's signed `char`."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef uint32_t FNV_32_OFFSET = 0x811C9DC5
cdef uint32_t FNV_32_PRIME = 0x01000193
cdef uint64_t FNV_64_OFFSET = 0xCBF29CE484222325ULL
cdef uint64_t FNV_64_PRIME = 0x100000001B3ULL


# Fowler, Noll, Vo: FNV-1 multiplies first, FNV-1a mixes the byte in first.
cdef uint32_t hash_fnv1_32(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = FNV_32_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value * FNV_32_PRIME) ^ data[i]
    return value


cdef uint32_t hash_fnv1a_32(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = FNV_32_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value ^ data[i]) * FNV_32_PRIME
    return value


cdef uint64_t hash_fnv1_64(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t value = FNV_64_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value * FNV_64_PRIME) ^ data[i]
    return value


cdef uint64_t hash_fnv1a_64(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t value = FNV_64_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value ^ data[i]) * FNV_64_PRIME
    return value


# ... of a C `char` where that is signed: bytes from 0x80 up enter as negative numbers.
cdef uint32_t hash_fnv1_32_signed(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = FNV_32_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value * FNV_32_PRIME) ^ <uint32_t><int32_t><int8_t>data[i]
    return value


cdef uint32_t hash_fnv1a_32_signed(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = FNV_32_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value ^ <uint32_t><int32_t><int8_t>data[i]) * FNV_32_PRIME
    return value


cdef uint64_t hash_fnv1_64_signed(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t value = FNV_64_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value * FNV_64_PRIME) ^ <uint64_t><int64_t><int8_t>data[i]
    return value


cdef uint64_t hash_fnv1a_64_signed(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t value = FNV_64_OFFSET
    cdef size_t i
    for i in range(size):
        value = (value ^ <uint64_t><int64_t><int8_t>data[i]) * FNV_64_PRIME
    return value


def fnv1_32(data):
    """32-bit FNV-1 of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t value = hash_fnv1_32(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def fnv1a_32(data):
    """32-bit FNV-1a of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t value = hash_fnv1a_32(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def fnv1_64(data):
    """64-bit FNV-1 of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint64_t value = hash_fnv1_64(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def fnv1a_64(data):
    """64-bit FNV-1a of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint64_t value = hash_fnv1a_64(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


def fnv1a_64_signed(data):
    """64-bit FNV-1a with bytes from 0x80 up sign-extended, as twemproxy hashes on x86.

    Raises TypeError when data is not bytes-like.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint64_t value = hash_fnv1a_64_signed(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value
