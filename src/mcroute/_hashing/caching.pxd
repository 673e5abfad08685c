"""What the processor can be told about memory that is needed soon.

Between a request and its reply, and from one turn to the next, other processes have the processor's cache: what a
connection or a request consists of is far away again when it is looked at.
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
