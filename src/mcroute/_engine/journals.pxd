"""The journal of a server, as the supervisor uses it."""

from mcroute._engine.journal cimport Journal, JournalBounds, JournalSink
from mcroute._engine.server_words cimport ServerWord

cdef class JournalSaver:
    cdef JournalSink* sink      # NULL: saves nothing

cdef class ServerJournal:
    cdef Journal* journal
    cdef ServerWord* word
    cdef object owner           # keeps both alive

    @staticmethod
    cdef ServerJournal of(Journal* journal, ServerWord* word, object owner)

# Sets the bounds of a proxy's journals; `limits` is a policy.Limits.
cdef void journals_bound(JournalBounds* bounds, limits) except *
