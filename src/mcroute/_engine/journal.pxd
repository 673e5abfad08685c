"""The journal of a server: the keys whose writes it has missed, as they were sent, each once.

All engines of a proxy append to it, under its lock, before they count the write in the server's state word. So a
thread that reads a count from the word finds the keys of all these writes in the journal, or the journal overflowed.

A replay takes the keys from the oldest on, to be deleted from the server. Keys before `next` are taken; a key that is
missed again goes behind the newest, and is taken again. There is one exception: the server gets no request while it
is out of service, so a key that this replay has taken stays deleted if the write was certainly not sent.

A journal overflows when a key has no room, or is unknown: only a flush removes what the server missed then.

A sink saves what the next process needs if this one is killed: each key that is new in a journal, before the write is
counted, and the keys of ghosts, which are in no journal yet. It may save keys that the server has not missed.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.journal_bounds cimport JournalBounds, JournalSink
from mcroute._engine.server_words cimport ServerWord
from mcroute._engine.taken cimport Taken

cdef extern from "pythread.h":
    ctypedef void* PyThread_type_lock

cdef enum RecordKind:           # of a journal's record; proxy.journal_file reads them
    RECORD_KEY = 0
    RECORD_BASE64_KEY = 1
    RECORD_UNKNOWN = 2          # the server missed a write whose key is not saved
    RECORD_EMPTY = 3            # the server has missed nothing of the records before

cdef struct MissedKey:
    MissedKey* next             # in its bucket
    MissedKey* older
    MissedKey* newer
    uint32_t hash
    uint32_t replay             # number of the replay that took it last; 0: none
    uint8_t size
    uint8_t is_base64
    uint8_t[1] data             # `size` bytes

cdef struct Journal:
    PyThread_type_lock lock     # held for a microsecond, but by take() and while the table grows or a sink saves
    JournalBounds* bounds
    int server
    MissedKey** buckets         # a linear hash table of level + split buckets; NULL: empty
    uint32_t level              # a power of two
    uint32_t split              # buckets below it are split into two already
    uint32_t room
    uint32_t count
    MissedKey* oldest
    MissedKey* newest
    MissedKey* next             # the first key that the replay has not taken; NULL: it has taken all
    uint32_t replay             # its number
    bint is_overflowed
    bint is_unsaved             # the sink lacks keys
    uint64_t overflows          # only grows
    Taken* taken                # the keys that the server took as a stand-in

cdef struct JournalLook:
    uint32_t count
    bint is_overflowed
    uint64_t overflows

cdef struct OrphanKey:          # of a write whose walk has ended before its reply
    uint8_t size
    uint8_t is_base64
    uint8_t[1] data             # `size` bytes

# NULL without memory.
cdef Journal* journal_new(JournalBounds* bounds, int server) noexcept nogil
cdef void journal_free(Journal* journal) noexcept nogil

# Notes a missed write of the key; of an unknown key if the size is 0. `is_unsent`: no byte of it can reach the server.
# Returns whether the journal was empty before.
cdef bint journal_note(
    Journal* journal, const uint8_t* key, size_t size, bint is_base64, bint is_unsent
) noexcept nogil

# Saves the key of a ghost, for which the server may turn out to have missed a write: of an unknown key if the size
# is 0. Call when the server's word counts the ghost.
cdef void journal_save_ghost(Journal* journal, const uint8_t* key, size_t size, bint is_base64) noexcept nogil
# Whether the next process needs no record of the server: it has no keys here, and no ghosts.
cdef bint journal_is_idle(Journal* journal, ServerWord* word) noexcept nogil
# Saves no more keys until the journal is emptied. The caller saves RECORD_UNKNOWN.
cdef void journal_leave_unsaved(Journal* journal) noexcept nogil
cdef bint journal_is_unsaved(Journal* journal) noexcept nogil

cdef JournalLook journal_look(Journal* journal) noexcept nogil

# Begins a replay: all keys are to be taken.
cdef void journal_begin(Journal* journal) noexcept nogil
# Writes up to `limit` keys that are not taken yet: is_base64 and size in a byte each, then the key. Returns how many.
cdef uint32_t journal_take(Journal* journal, uint32_t limit, uint8_t* out) noexcept nogil
# If all keys are taken, empties the journal, and restores the server if `restores`; else returns False. `missed` is the
# count of missed writes that are settled by that. Call when the taken keys are deleted.
cdef bint journal_settle(Journal* journal, ServerWord* word, bint restores, uint64_t* missed) noexcept nogil
# Empties the journal. Call when the server is empty, before it is restored.
cdef void journal_clear(Journal* journal) noexcept nogil

# A copy of the key. NULL without memory.
cdef OrphanKey* orphan_key(const uint8_t* key, size_t size, bint is_base64) noexcept nogil
