"""The bounds of the keys that a proxy notes of its servers: those that a server missed, and those that it took."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._engine.server_words cimport mcroute_load, mcroute_swap

cdef struct JournalSink:        # saves journals for the next process
    # Any thread calls it, under the journal's lock. Returns False if the record is not saved.
    bint (*save)(JournalSink* sink, int server, int kind, const uint8_t* key, size_t size) noexcept nogil

cdef struct JournalBounds:      # of all journals of a proxy; any thread reads and changes them
    JournalSink* sink           # NULL: the journals end with the process
    uint64_t keys_max           # of one journal
    uint64_t memory_max         # bytes of all journals together
    uint64_t memory             # bytes in use
    uint64_t date_ahead         # seconds since 1970, less the time of the engines' clock; 0: unknown

cdef inline void bounds_set_date(JournalBounds* bounds, double ahead) noexcept nogil:
    while not mcroute_swap(&bounds.date_ahead, mcroute_load(&bounds.date_ahead), <uint64_t>ahead):
        pass

cdef inline void bounds_add_memory(JournalBounds* bounds, uint64_t size) noexcept nogil:
    """Adds to the bytes in use; `0 - size` subtracts."""
    cdef uint64_t before = mcroute_load(&bounds.memory)
    while not mcroute_swap(&bounds.memory, before, before + size):
        before = mcroute_load(&bounds.memory)
