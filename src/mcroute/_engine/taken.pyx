"""A hash set of keys in the order of their notes, shared by threads under a lock."""

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from mcroute._engine.journal_bounds cimport bounds_add_memory
from mcroute._engine.server_words cimport SERVER_UP, mcroute_load, word_state, word_ups
from mcroute._hashing cimport hash_murmur3_32

cdef extern from "pythread.h" nogil:
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    int PyThread_acquire_lock(PyThread_type_lock lock, int mode)
    void PyThread_release_lock(PyThread_type_lock lock)
    enum:
        WAIT_LOCK

cdef enum:
    SEED = 0x7461_6B65          # not the rings': keys of one server are not to share buckets
    BUCKETS = 1 << 15
    LOOKS_MAX = 1024            # keys that are looked at while the lock is held

cdef uint64_t NEVER = <uint64_t>-1


# ---- life ----

cdef Taken* taken_new(JournalBounds* bounds) noexcept nogil:
    cdef Taken* taken = <Taken*>calloc(1, sizeof(Taken))
    if taken == NULL:
        return NULL
    taken.bounds = bounds
    taken.lock = PyThread_allocate_lock()
    if taken.lock == NULL:
        free(taken)
        return NULL
    return taken


cdef void taken_free(Taken* taken) noexcept nogil:
    cdef Taken contents
    if taken == NULL:
        return
    # Without the lock, which no thread needs any more: in a forked process it may be held for ever.
    contents = _emptied(taken)
    _free_contents(&contents)
    PyThread_free_lock(taken.lock)
    free(taken)


cdef inline uint64_t _size_of(size_t owners, size_t size) noexcept nogil:
    return sizeof(TakenKey) + owners * sizeof(ServerWord*) + size


cdef inline uint8_t* _text(TakenKey* key) noexcept nogil:
    return <uint8_t*>(key.owners + key.owner_count)


cdef Taken _emptied(Taken* taken) noexcept nogil:
    """Forgets all keys, under the lock. The returned structure has them, to be freed without the lock."""
    cdef Taken contents = taken[0]
    taken.buckets = NULL
    taken.count = 0
    taken.oldest = taken.newest = taken.cursor = NULL
    return contents


cdef void _free_contents(Taken* contents) noexcept nogil:
    cdef TakenKey* key = contents.oldest
    cdef TakenKey* newer
    cdef uint64_t size = BUCKETS * sizeof(TakenKey*) if contents.buckets != NULL else 0
    while key != NULL:
        newer = key.newer
        size += _size_of(key.owner_count, key.size)
        free(key)
        key = newer
    free(contents.buckets)
    bounds_add_memory(contents.bounds, 0 - size)


cdef void taken_clear(Taken* taken) noexcept nogil:
    cdef Taken contents
    PyThread_acquire_lock(taken.lock, WAIT_LOCK)
    contents = _emptied(taken)
    PyThread_release_lock(taken.lock)
    _free_contents(&contents)


# ---- owners ----

cdef uint64_t _restores(ServerWord** owners, int count) noexcept nogil:
    """The number of restores of the owners so far: another number if one of them may have served since."""
    cdef uint64_t total = 0
    cdef int i
    for i in range(count):
        total += word_ups(owners[i])
    return total


cdef bint _is_due(TakenKey* key) noexcept nogil:
    cdef int i
    # In this order: a server that is restored in between is UP, or has another number at the next look.
    if key.restores == NEVER or _restores(key.owners, key.owner_count) != key.restores:
        return True
    for i in range(key.owner_count):
        if word_state(key.owners[i]) == SERVER_UP:
            return True
    return False


cdef bint _has_owners(TakenKey* key, const Owners* owners) noexcept nogil:
    return (key.owner_count == owners.count
            and memcmp(key.owners, owners.words, owners.count * sizeof(ServerWord*)) == 0)


# ---- the hash table, and the list from the oldest to the newest ----

cdef inline TakenKey** _bucket(Taken* taken, uint32_t hash) noexcept nogil:
    return &taken.buckets[hash & (BUCKETS - 1)]


cdef TakenKey* _find(Taken* taken, uint32_t hash, const uint8_t* text, size_t size, bint is_base64) noexcept nogil:
    cdef TakenKey* key = _bucket(taken, hash)[0] if taken.buckets != NULL else NULL
    while key != NULL:
        if (key.hash == hash and key.size == size and key.is_base64 == is_base64
                and memcmp(_text(key), text, size) == 0):
            return key
        key = key.next
    return NULL


cdef void _append(Taken* taken, TakenKey* key) noexcept nogil:
    taken.serial += 1
    key.serial = taken.serial
    key.round = 0
    key.older = taken.newest
    key.newer = NULL
    if taken.newest != NULL:
        taken.newest.newer = key
    else:
        taken.oldest = key
    taken.newest = key


cdef void _unlink(Taken* taken, TakenKey* key) noexcept nogil:
    if key.older != NULL:
        key.older.newer = key.newer
    else:
        taken.oldest = key.newer
    if key.newer != NULL:
        key.newer.older = key.older
    else:
        taken.newest = key.older
    if taken.cursor == key:
        taken.cursor = key.newer


cdef void _remove(Taken* taken, TakenKey* key) noexcept nogil:
    cdef TakenKey** at = _bucket(taken, key.hash)
    while at[0] != key:
        at = &at[0].next
    at[0] = key.next
    _unlink(taken, key)
    taken.count -= 1
    bounds_add_memory(taken.bounds, 0 - _size_of(key.owner_count, key.size))
    free(key)


# ---- notes ----

cdef bint _has_room(Taken* taken, uint64_t size) noexcept nogil:
    if taken.buckets == NULL:
        size += BUCKETS * sizeof(TakenKey*)
    return (taken.count < mcroute_load(&taken.bounds.keys_max)
            and mcroute_load(&taken.bounds.memory) + size <= mcroute_load(&taken.bounds.memory_max))


cdef TakenKey* _insert(
    Taken* taken, uint32_t hash, const uint8_t* text, size_t size, bint is_base64, const Owners* owners, double now
) noexcept nogil:
    """Adds a new key. NULL without room."""
    cdef TakenKey* key
    cdef uint64_t bytes_of_it = _size_of(owners.count, size)
    if not _has_room(taken, bytes_of_it) and taken.oldest != NULL and taken.oldest.until <= now:
        _remove(taken, taken.oldest)
    if not _has_room(taken, bytes_of_it):
        return NULL
    if taken.buckets == NULL:
        taken.buckets = <TakenKey**>calloc(BUCKETS, sizeof(TakenKey*))
        if taken.buckets == NULL:
            return NULL
        bounds_add_memory(taken.bounds, BUCKETS * sizeof(TakenKey*))
    key = <TakenKey*>malloc(bytes_of_it)
    if key == NULL:
        return NULL
    bounds_add_memory(taken.bounds, bytes_of_it)
    key.hash = hash
    key.size = <uint8_t>size
    key.is_base64 = is_base64
    key.owner_count = <uint8_t>owners.count
    memcpy(key.owners, owners.words, owners.count * sizeof(ServerWord*))
    memcpy(_text(key), text, size)
    key.next = _bucket(taken, hash)[0]
    _bucket(taken, hash)[0] = key
    _append(taken, key)
    taken.count += 1
    return key


cdef bint _is_asked(
    Taken* taken, const Owners* owners, const uint8_t* text, size_t size, bint is_base64, double now, double until,
    bint* is_due
) noexcept nogil:
    cdef uint32_t hash = hash_murmur3_32(text, size, SEED)
    cdef uint64_t restores = _restores(<ServerWord**>owners.words, owners.count) if owners.count > 0 else NEVER
    cdef TakenKey* key = _find(taken, hash, text, size, is_base64)
    if key != NULL and not _has_owners(key, owners):
        # Another plan has given the key to other servers.
        key.restores = NEVER
    if key != NULL and _is_due(key):
        is_due[0] = True
        return False
    if key == NULL and now < taken.trusted_at:
        return False
    if until == 0:
        return True
    if key != NULL:
        _unlink(taken, key)
        _append(taken, key)
    else:
        key = _insert(taken, hash, text, size, is_base64, owners, now)
        if key == NULL:
            return False
    key.restores = restores
    key.until = until
    is_due[0] = _is_due(key)
    return True


cdef int taken_ask(
    Taken* taken, const Owners* owners, const uint8_t* key, size_t size, bint is_base64, double now, double until
) noexcept nogil:
    cdef bint is_due = False
    cdef int answer
    PyThread_acquire_lock(taken.lock, WAIT_LOCK)
    answer = TAKEN_ALLOWED if _is_asked(taken, owners, key, size, is_base64, now, until, &is_due) else TAKEN_REFUSED
    if is_due and not taken.is_announced:
        taken.is_announced = True
        answer |= TAKEN_ANNOUNCE
    PyThread_release_lock(taken.lock)
    return answer


cdef uint32_t taken_count(Taken* taken) noexcept nogil:
    cdef uint32_t count
    PyThread_acquire_lock(taken.lock, WAIT_LOCK)
    count = taken.count
    PyThread_release_lock(taken.lock)
    return count


cdef void taken_distrust(Taken* taken, double trusted_at) noexcept nogil:
    PyThread_acquire_lock(taken.lock, WAIT_LOCK)
    taken.trusted_at = max(taken.trusted_at, trusted_at)
    PyThread_release_lock(taken.lock)


# ---- cleanings ----

cdef TakenKey* _next(Taken* taken) noexcept nogil:
    """The key at the cursor, which moves on; NULL behind the last key of the cleaning."""
    cdef TakenKey* key = taken.cursor
    if key == NULL or key.serial > taken.last:
        return NULL
    taken.cursor = key.newer
    return key


cdef bint taken_begin(Taken* taken) noexcept nogil:
    cdef TakenKey* key
    cdef bint is_due = False
    cdef bint is_over = False
    PyThread_acquire_lock(taken.lock, WAIT_LOCK)
    # Not 0, which is of keys that no cleaning has taken.
    taken.round = max(1, taken.round + 1)
    taken.last = taken.serial
    taken.cursor = taken.oldest
    taken.is_announced = False
    PyThread_release_lock(taken.lock)
    while not is_due and not is_over:
        PyThread_acquire_lock(taken.lock, WAIT_LOCK)
        for _ in range(<int>LOOKS_MAX):
            key = _next(taken)
            is_over = key == NULL
            is_due = key != NULL and _is_due(key)
            if is_over or is_due:
                break
        PyThread_release_lock(taken.lock)
    PyThread_acquire_lock(taken.lock, WAIT_LOCK)
    taken.cursor = taken.oldest
    PyThread_release_lock(taken.lock)
    return is_due


cdef uint32_t taken_take(Taken* taken, uint32_t limit, uint8_t* out) noexcept nogil:
    cdef TakenKey* key
    cdef uint32_t count = 0
    cdef bint is_over = False
    while count == 0 and not is_over:
        PyThread_acquire_lock(taken.lock, WAIT_LOCK)
        for _ in range(<int>LOOKS_MAX):
            key = _next(taken) if count < limit else NULL
            is_over = key == NULL
            if is_over:
                break
            if _is_due(key):
                out[0] = key.is_base64
                out[1] = key.size
                memcpy(out + 2, _text(key), key.size)
                out += 2 + key.size
                # It stays due, even if its number of restores should come again.
                key.restores = NEVER
                key.round = taken.round
                count += 1
        PyThread_release_lock(taken.lock)
    return count


cdef uint32_t taken_settle(Taken* taken) noexcept nogil:
    cdef TakenKey* key
    cdef Taken contents
    cdef uint32_t count = 0
    cdef bint is_over = False
    cdef bint is_empty
    PyThread_acquire_lock(taken.lock, WAIT_LOCK)
    taken.cursor = taken.oldest
    PyThread_release_lock(taken.lock)
    while not is_over:
        PyThread_acquire_lock(taken.lock, WAIT_LOCK)
        for _ in range(<int>LOOKS_MAX):
            key = _next(taken)
            is_over = key == NULL
            if is_over:
                break
            if key.round == taken.round:
                _remove(taken, key)
                count += 1
        PyThread_release_lock(taken.lock)
    PyThread_acquire_lock(taken.lock, WAIT_LOCK)
    taken.cursor = taken.oldest
    is_empty = taken.count == 0
    if is_empty:
        contents = _emptied(taken)
    PyThread_release_lock(taken.lock)
    if is_empty:
        _free_contents(&contents)
    return count
