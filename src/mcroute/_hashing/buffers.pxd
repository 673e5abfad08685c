"""Bytes-like objects for the hash functions."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

ctypedef uint32_t (*Hash32)(const uint8_t* data, size_t size) noexcept nogil
ctypedef uint64_t (*Hash64)(const uint8_t* data, size_t size) noexcept nogil


# Raise TypeError when data is not bytes-like.
cdef inline uint32_t hash32_of(object data, Hash32 function) except? 0:
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t value = function(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value


cdef inline uint64_t hash64_of(object data, Hash64 function) except? 0:
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint64_t value = function(<const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return value
