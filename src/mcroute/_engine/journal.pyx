"""A hash set of keys in the order of their misses, shared by threads under a lock."""

from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from mcroute._engine.journal_bounds cimport bounds_add_memory
from mcroute._engine.server_words cimport (
    mcroute_load, word_has_ghosts, word_missed, word_restore_always,
)
from mcroute._engine.taken cimport taken_free, taken_new
from mcroute._hashing cimport hash_murmur3_32

cdef extern from "pythread.h" nogil:
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    int PyThread_acquire_lock(PyThread_type_lock lock, int mode)
    void PyThread_release_lock(PyThread_type_lock lock)
    enum:
        WAIT_LOCK

cdef enum:
    SEED = 0x6A6F7572           # not the rings': keys of one server are not to share buckets
    BUCKETS_MIN = 64            # a power of two


# ---- a journal's life ----

cdef Journal* journal_new(JournalBounds* bounds, int server) noexcept nogil:
    cdef Journal* journal = <Journal*>calloc(1, sizeof(Journal))
    if journal == NULL:
        return NULL
    journal.bounds = bounds
    journal.taken = taken_new(bounds)
    journal.server = server
    journal.lock = PyThread_allocate_lock() if journal.taken != NULL else NULL
    if journal.lock == NULL:
        taken_free(journal.taken)
        free(journal)
        return NULL
    return journal


cdef void journal_free(Journal* journal) noexcept nogil:
    cdef Journal contents
    if journal == NULL:
        return
    # Without the lock, which no thread needs any more: in a forked process it may be held for ever.
    contents = _emptied(journal)
    _free_contents(&contents)
    PyThread_free_lock(journal.lock)
    taken_free(journal.taken)
    free(journal)


cdef inline uint64_t _size_of(size_t key_size) noexcept nogil:
    return sizeof(MissedKey) + key_size


cdef Journal _emptied(Journal* journal) noexcept nogil:
    """Empties the journal, under its lock. The returned structure has the contents, to be freed without the lock."""
    cdef Journal contents = journal[0]
    journal.buckets = NULL
    journal.level = journal.split = journal.room = journal.count = 0
    journal.oldest = journal.newest = journal.next = NULL
    return contents


cdef void _free_contents(Journal* contents) noexcept nogil:
    cdef MissedKey* key = contents.oldest
    cdef MissedKey* newer
    cdef uint64_t size = contents.room * sizeof(MissedKey*)
    while key != NULL:
        newer = key.newer
        size += _size_of(key.size)
        free(key)
        key = newer
    free(contents.buckets)
    bounds_add_memory(contents.bounds, 0 - size)


cdef void journal_clear(Journal* journal) noexcept nogil:
    cdef Journal contents
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    _save_empty(journal)
    contents = _emptied(journal)
    journal.is_overflowed = False
    PyThread_release_lock(journal.lock)
    _free_contents(&contents)


# ---- the hash table ----

cdef inline MissedKey** _bucket(Journal* journal, uint32_t hash) noexcept nogil:
    cdef uint32_t index = hash & (journal.level - 1)
    if index < journal.split:
        index = hash & (2 * journal.level - 1)
    return &journal.buckets[index]


cdef MissedKey* _find(
    Journal* journal, uint32_t hash, const uint8_t* data, size_t size, bint is_base64
) noexcept nogil:
    cdef MissedKey* key
    if journal.buckets == NULL:
        return NULL
    key = _bucket(journal, hash)[0]
    while key != NULL:
        if (key.hash == hash and key.size == size and key.is_base64 == is_base64
                and memcmp(key.data, data, size) == 0):
            return key
        key = key.next
    return NULL


cdef bint _widen(Journal* journal) noexcept nogil:
    cdef uint32_t room = 2 * journal.room if journal.room > 0 else <uint32_t>BUCKETS_MIN
    cdef MissedKey** buckets = <MissedKey**>realloc(journal.buckets, room * sizeof(MissedKey*))
    if buckets == NULL:
        return False
    memset(buckets + journal.room, 0, (room - journal.room) * sizeof(MissedKey*))
    bounds_add_memory(journal.bounds, (room - journal.room) * sizeof(MissedKey*))
    journal.buckets = buckets
    journal.room = room
    return True


cdef void _split(Journal* journal) noexcept nogil:
    """Makes two buckets of one, so that no insertion takes long. Without memory the buckets stay longer."""
    cdef uint32_t other = journal.level + journal.split
    cdef MissedKey** at
    cdef MissedKey* key
    if other == journal.room and not _widen(journal):
        return
    at = &journal.buckets[journal.split]
    while at[0] != NULL:
        key = at[0]
        if key.hash & (2 * journal.level - 1) == journal.split:
            at = &key.next
            continue
        at[0] = key.next
        key.next = journal.buckets[other]
        journal.buckets[other] = key
    journal.split += 1
    if journal.split == journal.level:
        journal.level *= 2
        journal.split = 0


# ---- the list, from the oldest to the newest ----

cdef void _append(Journal* journal, MissedKey* key) noexcept nogil:
    key.older = journal.newest
    key.newer = NULL
    key.replay = 0
    if journal.newest != NULL:
        journal.newest.newer = key
    else:
        journal.oldest = key
    journal.newest = key
    if journal.next == NULL:
        journal.next = key


cdef void _unlink(Journal* journal, MissedKey* key) noexcept nogil:
    if key.older != NULL:
        key.older.newer = key.newer
    else:
        journal.oldest = key.newer
    if key.newer != NULL:
        key.newer.older = key.older
    else:
        journal.newest = key.older
    if journal.next == key:
        journal.next = key.newer


# ---- the records of the next process ----

cdef void _save(Journal* journal, int kind, const uint8_t* key, size_t size) noexcept nogil:
    """Call it under the journal's lock."""
    cdef JournalSink* sink = journal.bounds.sink
    if sink != NULL and not journal.is_unsaved and not sink.save(sink, journal.server, kind, key, size):
        journal.is_unsaved = True


cdef void _save_empty(Journal* journal) noexcept nogil:
    """Call it under the lock, before the server serves: then no later record stands before this one."""
    cdef JournalSink* sink = journal.bounds.sink
    if sink != NULL and (journal.count > 0 or journal.is_overflowed or journal.is_unsaved):
        # If this fails, the next process finds more keys than were missed.
        sink.save(sink, journal.server, RECORD_EMPTY, NULL, 0)
    journal.is_unsaved = False


cdef void journal_save_ghost(Journal* journal, const uint8_t* key, size_t size, bint is_base64) noexcept nogil:
    if journal.bounds.sink == NULL:
        return
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    _save(journal, _kind(size, is_base64), key, size)
    PyThread_release_lock(journal.lock)


cdef inline int _kind(size_t size, bint is_base64) noexcept nogil:
    if size == 0:
        return RECORD_UNKNOWN
    return RECORD_BASE64_KEY if is_base64 else RECORD_KEY


cdef bint journal_is_idle(Journal* journal, ServerWord* word) noexcept nogil:
    cdef bint is_idle
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    # A ghost that becomes a missed write is noted before it leaves the word.
    is_idle = not word_has_ghosts(word) and journal.count == 0 and not journal.is_overflowed
    if is_idle:
        journal.is_unsaved = False
    PyThread_release_lock(journal.lock)
    return is_idle


cdef void journal_leave_unsaved(Journal* journal) noexcept nogil:
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    journal.is_unsaved = True
    PyThread_release_lock(journal.lock)


cdef bint journal_is_unsaved(Journal* journal) noexcept nogil:
    cdef bint is_unsaved
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    is_unsaved = journal.is_unsaved
    PyThread_release_lock(journal.lock)
    return is_unsaved


# ---- missed writes ----

cdef bint _insert(Journal* journal, uint32_t hash, const uint8_t* data, size_t size, bint is_base64) noexcept nogil:
    """Adds a new key. False without room."""
    cdef MissedKey** bucket
    cdef MissedKey* key
    if (journal.count >= mcroute_load(&journal.bounds.keys_max)
            or mcroute_load(&journal.bounds.memory) + _size_of(size) > mcroute_load(&journal.bounds.memory_max)):
        return False
    if journal.buckets == NULL:
        if not _widen(journal):
            return False
        journal.level = BUCKETS_MIN
    key = <MissedKey*>malloc(_size_of(size))
    if key == NULL:
        return False
    bounds_add_memory(journal.bounds, _size_of(size))
    key.hash = hash
    key.size = <uint8_t>size
    key.is_base64 = is_base64
    memcpy(key.data, data, size)
    _save(journal, _kind(size, is_base64), data, size)
    _append(journal, key)
    bucket = _bucket(journal, hash)
    key.next = bucket[0]
    bucket[0] = key
    journal.count += 1
    if journal.count > journal.level + journal.split:
        _split(journal)
    return True


cdef bint _has_noted(
    Journal* journal, uint32_t hash, const uint8_t* data, size_t size, bint is_base64, bint is_unsent
) noexcept nogil:
    cdef MissedKey* known = _find(journal, hash, data, size, is_base64) if size > 0 else NULL
    if known == NULL:
        return size > 0 and _insert(journal, hash, data, size, is_base64)
    if not is_unsent or known.replay != journal.replay:
        _unlink(journal, known)
        _append(journal, known)
    return True


cdef bint journal_note(
    Journal* journal, const uint8_t* key, size_t size, bint is_base64, bint is_unsent
) noexcept nogil:
    cdef uint32_t hash = hash_murmur3_32(key, size, SEED) if size > 0 else 0
    cdef Journal contents
    cdef bint was_empty
    cdef bint overflows = False
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    was_empty = journal.count == 0 and not journal.is_overflowed
    if not journal.is_overflowed and not _has_noted(journal, hash, key, size, is_base64, is_unsent):
        overflows = True
        _save(journal, RECORD_UNKNOWN, NULL, 0)
        journal.is_overflowed = True
        journal.overflows += 1
        contents = _emptied(journal)
    PyThread_release_lock(journal.lock)
    if overflows:
        _free_contents(&contents)
    return was_empty


cdef JournalLook journal_look(Journal* journal) noexcept nogil:
    cdef JournalLook look
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    look = JournalLook(journal.count, journal.is_overflowed, journal.overflows)
    PyThread_release_lock(journal.lock)
    return look


# ---- replays ----

cdef void journal_begin(Journal* journal) noexcept nogil:
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    # Not 0, which is of keys that no replay has taken.
    journal.replay = max(1, journal.replay + 1)
    journal.next = journal.oldest
    PyThread_release_lock(journal.lock)


cdef uint32_t journal_take(Journal* journal, uint32_t limit, uint8_t* out) noexcept nogil:
    cdef MissedKey* key
    cdef uint32_t count = 0
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    while journal.next != NULL and count < limit:
        key = journal.next
        out[0] = key.is_base64
        out[1] = key.size
        memcpy(out + 2, key.data, key.size)
        out += 2 + key.size
        key.replay = journal.replay
        journal.next = key.newer
        count += 1
    PyThread_release_lock(journal.lock)
    return count


cdef bint journal_settle(Journal* journal, ServerWord* word, bint restores, uint64_t* missed) noexcept nogil:
    cdef Journal contents
    PyThread_acquire_lock(journal.lock, WAIT_LOCK)
    if journal.next != NULL or journal.is_overflowed:
        PyThread_release_lock(journal.lock)
        return False
    # Under the lock: a write that is missed from here on is noted later, and then takes the server out again.
    _save_empty(journal)
    missed[0] = word_restore_always(word) if restores else word_missed(word)
    contents = _emptied(journal)
    PyThread_release_lock(journal.lock)
    _free_contents(&contents)
    return True


# ---- orphans ----

cdef OrphanKey* orphan_key(const uint8_t* key, size_t size, bint is_base64) noexcept nogil:
    cdef OrphanKey* copy = <OrphanKey*>malloc(sizeof(OrphanKey) + size)
    if copy == NULL:
        return NULL
    copy.size = <uint8_t>size
    copy.is_base64 = is_base64
    memcpy(copy.data, key, size)
    return copy
