# Only for use from Cython: see once_runs.pxd.
"""A table of counters by hash of the key."""

from libc.stdlib cimport calloc

from mcroute._hashing cimport hash_murmur3_32

cdef enum:
    SLOTS = 64 * 1024           # a power of two; only those that are used take memory
    SEED = 0x6F6E6365           # not the rings': keys of one server are not to share slots
    SEVERAL = -1


cdef OnceRuns* once_runs_new() noexcept nogil:
    return <OnceRuns*>calloc(SLOTS, sizeof(OnceRuns))


cdef inline OnceRuns* _runs(Engine* engine, const uint8_t* key, size_t size) noexcept nogil:
    return &engine.once_runs[hash_murmur3_32(key, size, SEED) & (SLOTS - 1)]


cdef bint once_runs_elsewhere(Engine* engine, const uint8_t* key, size_t size, int child) noexcept nogil:
    cdef OnceRuns* runs = _runs(engine, key, size)
    return runs.count > 0 and runs.child != child


cdef bint once_looks(Engine* engine, const uint8_t* key, size_t size) noexcept nogil:
    return _runs(engine, key, size).looks > 0


cdef void once_look_begins(Engine* engine, const uint8_t* key, size_t size) noexcept nogil:
    _runs(engine, key, size).looks += 1


cdef void once_look_ends(Engine* engine, const uint8_t* key, size_t size) noexcept nogil:
    _runs(engine, key, size).looks -= 1


cdef void once_run_begins(Engine* engine, const uint8_t* key, size_t size, int child) noexcept nogil:
    cdef OnceRuns* runs = _runs(engine, key, size)
    runs.child = child if runs.count == 0 or runs.child == child else SEVERAL
    runs.count += 1


cdef void once_run_ends(Engine* engine, const uint8_t* key, size_t size) noexcept nogil:
    _runs(engine, key, size).count -= 1
