"""The servers' words of one proxy, on which all of its engines act."""

from libc.stdlib cimport free, realloc
from libc.string cimport memset

from mcroute._engine.words cimport (
    word_is_spared, word_is_stale, word_keep, word_lift, word_missed, word_put, word_state, word_trust,
)

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void** out, size_t alignment, size_t size)

cdef enum:
    CACHE_LINE = 64             # so that the threads that read one word do not wait for writes to another


cdef class Words:
    """One word a server, by its number; made when first asked for, and never moved."""

    def __dealloc__(self):
        cdef int i
        for i in range(self.count):
            free(self.words[i])
        free(self.words)

    cdef ServerWord* word(self, int server) except NULL:
        cdef ServerWord** more
        cdef void* word = NULL
        while server >= self.count:
            more = <ServerWord**>realloc(self.words, (self.count + 1) * sizeof(ServerWord*))
            if more == NULL:
                raise MemoryError
            self.words = more
            if posix_memalign(&word, CACHE_LINE, CACHE_LINE) != 0:
                raise MemoryError
            memset(word, 0, CACHE_LINE)
            self.words[self.count] = <ServerWord*>word
            self.count += 1
        return self.words[server]

    def forget(self, int server):
        """The number is another server's from now on, which is in service and has missed nothing."""
        self.word(server).bits = 0

    def state(self, int server):
        """As `Engine.server_state`."""
        return word_state(self.word(server))

    def put(self, int server, int state):
        """As `Engine.set_server_state`."""
        word_put(self.word(server), state)

    def keep(self, int server, bint is_kept):
        """As `Engine.keep`."""
        word_keep(self.word(server), is_kept)

    def is_spared(self, int server):
        """As `Engine.is_spared`."""
        return word_is_spared(self.word(server))

    def is_stale(self, int server):
        """As `Engine.is_stale`."""
        return word_is_stale(self.word(server))

    def missed(self, int server):
        """As `Engine.missed_writes`."""
        return word_missed(self.word(server))

    def trust(self, int server, unsigned long long missed):
        """Puts the server into service unless it has missed more than so many writes. Whether it did."""
        return word_trust(self.word(server), missed)

    def lift(self, int server):
        """Puts the server into service unless it is stale. Whether it did."""
        return word_lift(self.word(server))
