"""The keys that a server took as a stand-in, while other servers, their owners, were out of service.

A stand-in must not be read for a key when an owner may have served it since. So a key is noted before a write of it is
sent to the stand-in, with the number of times that its owners were restored so far. If an owner serves, or was restored
since, the key is due: it is to be deleted from the stand-in, and until then no request but a delete is sent there.

A cleaning deletes the due keys, from the oldest on. `taken_begin` remembers the newest key; before `taken_take` the
caller waits until every write that was sent to the stand-in before is answered.

A key without room is not noted, and the stand-in does not take it. A key whose item has expired for certain makes room.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.journal_bounds cimport JournalBounds
from mcroute._engine.server_words cimport ServerWord

cdef extern from "pythread.h":
    ctypedef void* PyThread_type_lock

cdef enum:
    OWNERS_MAX = 8

cdef struct Owners:             # of a key
    (ServerWord*)[OWNERS_MAX] words
    int count                   # 0: more than OWNERS_MAX

cdef struct TakenKey:
    TakenKey* next              # in its bucket
    TakenKey* older
    TakenKey* newer
    uint64_t serial             # grows from the oldest to the newest
    uint64_t restores           # of its owners, when it was last noted; NEVER: it is due
    double until                # its item has expired then
    uint32_t hash
    uint32_t round              # number of the cleaning that took it last
    uint8_t size
    uint8_t is_base64
    uint8_t owner_count
    (ServerWord*)[1] owners       # `owner_count`, then the key

cdef struct Taken:
    PyThread_type_lock lock     # held for some microseconds at most
    JournalBounds* bounds
    TakenKey** buckets          # BUCKETS; NULL: empty
    uint32_t count
    uint32_t round              # number of the present cleaning
    TakenKey* oldest
    TakenKey* newest
    TakenKey* cursor            # the next key of the cleaning
    uint64_t serial             # of the newest key
    uint64_t last               # serial of the last key of the cleaning
    double trusted_at           # until then it may have keys of an earlier process, or of an earlier plan
    bint is_announced           # the supervisor is told, or was, that keys are due

cdef enum TakenAnswer:
    TAKEN_REFUSED = 0           # the stand-in must not be asked
    TAKEN_ALLOWED = 1
    TAKEN_ANNOUNCE = 2          # a flag beside: keys are due, and the supervisor does not know yet

# NULL without memory.
cdef Taken* taken_new(JournalBounds* bounds) noexcept nogil
cdef void taken_free(Taken* taken) noexcept nogil
# Forgets all keys.
cdef void taken_clear(Taken* taken) noexcept nogil

# Whether the stand-in may be asked for the key. A request that leaves an item there, or extends its lifetime, is noted:
# `until` is the time when the item has expired for certain; 0 for a read.
cdef int taken_ask(
    Taken* taken, const Owners* owners, const uint8_t* key, size_t size, bint is_base64, double now, double until
) noexcept nogil

cdef uint32_t taken_count(Taken* taken) noexcept nogil
# Does not trust the stand-in for keys that are not noted, before this time.
cdef void taken_distrust(Taken* taken, double trusted_at) noexcept nogil

# Begins a cleaning of the present keys. Returns whether any of them is due.
cdef bint taken_begin(Taken* taken) noexcept nogil
# Writes up to `limit` due keys: is_base64 and size in a byte each, then the key. Returns how many; 0: there is none.
cdef uint32_t taken_take(Taken* taken, uint32_t limit, uint8_t* out) noexcept nogil
# The taken keys are deleted from the stand-in: forgets them, and returns how many. `taken_take` may follow.
cdef uint32_t taken_settle(Taken* taken) noexcept nogil
