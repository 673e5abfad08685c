# cython: language_level=3, freethreading_compatible=True
"""Threads that miss writes, without the interpreter."""

from libc.stdio cimport snprintf

from mcroute._engine.engine cimport Engine
from mcroute._engine.journal cimport journal_note
from mcroute._engine.server_words cimport word_miss
from mcroute._engine.state cimport Server


def miss(Engine engine not None, int number, int first, int count, int keys):
    """The server misses writes of the keys `first`, `first` + 1 and so on, modulo `keys`, as engines count them."""
    cdef Server* server = engine.state.servers[number]
    cdef char[32] key
    cdef int i, size
    with nogil:
        for i in range(count):
            size = snprintf(key, sizeof(key), "k%d", (first + i) % keys)
            journal_note(server.journal, <unsigned char*>key, size, False, i % 3 > 0)
            word_miss(server.word)
