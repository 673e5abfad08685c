"""State that the loops of one proxy share: servers' state words, the claimed keys, the bound on clients."""

from mcroute._engine.journal cimport Journal, JournalBounds
from mcroute._engine.journals cimport JournalSaver
from mcroute._engine.state cimport Claims, Description
from mcroute._engine.server_words cimport ServerWord
from mcroute.runtime.sharing cimport SharedUpstream, Signals
from mcroute._loop.state cimport Room

cdef class SharedState:
    cdef ServerWord** words
    cdef int count
    cdef unsigned char[::1] memory
    cdef int lent               # state words in `memory`; the others are allocated here
    cdef Claims* claims         # NULL: there is one engine
    cdef int* wake_fds          # an eventfd for each engine
    cdef int wake_count
    cdef Room room
    cdef SharedUpstream** upstreams
    cdef int upstream_count
    cdef Description** descriptions
    cdef int description_count
    cdef Journal** journals
    cdef int journal_count
    cdef JournalBounds journal_bounds
    cdef JournalSaver saver     # None: journals end with the process
    cdef Signals signals
    cdef ServerWord* word(self, int server) except NULL
    cdef SharedUpstream* upstream(self, int server) except NULL
    cdef Description* description(self, int server) except NULL
    cdef Journal* own_journal(self, int server) except NULL
    cdef int wake(self) except -1
