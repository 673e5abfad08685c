"""Prefetching: asks the processor to load memory that is needed soon.

Between a request and its reply, and between two turns, other processes fill the processor's cache, so the memory
of a connection or a request is no longer in it.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uintptr_t

cdef enum:
    CACHE_LINE = 64

cdef extern from * nogil:
    """
    #if defined(__GNUC__)
    #define mcroute_prefetch(at) __builtin_prefetch(at)
    #else
    #define mcroute_prefetch(at) ((void)(at))
    #endif
    """
    # The address need not be valid.
    void prefetch "mcroute_prefetch"(const void* at)

# The address is a number: as a pointer, one that leads nowhere must not even be computed.
cdef inline void prefetch_all(uintptr_t at, size_t size) noexcept nogil:
    cdef size_t i
    for i in range((size + CACHE_LINE - 1) // CACHE_LINE):
        prefetch(<const void*>(at + i * CACHE_LINE))
