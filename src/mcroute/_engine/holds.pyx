"""A hash table of the held keys, empty as long as nothing fails."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from mcroute._engine.state cimport GROUP_LAST_READ, HOLD_BUCKETS, Hold
from mcroute._hashing cimport hash_murmur3_32
from mcroute._protocol cimport request_next_key


cdef Hold** _bucket(Engine* engine, uint32_t key_hash) noexcept nogil:
    return &engine.holds[key_hash & (HOLD_BUCKETS - 1)]


cdef void hold_key(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef Hold* hold
    cdef Hold** bucket
    if request.group <= GROUP_LAST_READ or request.hold != NULL:
        return
    hold = <Hold*>malloc(sizeof(Hold))
    if hold == NULL:
        return
    hold.request = request
    hold.first = NULL
    hold.last = NULL
    hold.key_hash = hash_murmur3_32(
        request.block.data + request.offset + request.view.key_offset, request.view.key_size, 0)
    bucket = _bucket(engine, hold.key_hash)
    hold.next = bucket[0]
    bucket[0] = hold
    request.hold = hold
    engine.hold_count += 1


cdef Hold* _find(Engine* engine, const uint8_t* key, size_t size) noexcept nogil:
    cdef uint32_t key_hash = hash_murmur3_32(key, size, 0)
    cdef Hold* hold = _bucket(engine, key_hash)[0]
    cdef ClientRequest* holder
    while hold != NULL:
        holder = hold.request
        if (hold.key_hash == key_hash and holder.view.key_size == size
                and memcmp(holder.block.data + holder.offset + holder.view.key_offset, key, size) == 0):
            return hold
        hold = hold.next
    return NULL


cdef bint hold_exists(Engine* engine, const uint8_t* key, size_t size) noexcept nogil:
    return engine.hold_count > 0 and _find(engine, key, size) != NULL


cdef Hold* _find_any(ClientRequest* request) noexcept nogil:
    """The first of the request's keys that is held."""
    cdef Engine* engine = request.plan.engine
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t offset = request.view.key_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    cdef Hold* hold
    if request.view.key_count <= 1:
        return _find(engine, data + request.view.key_offset, request.view.key_size)
    while True:
        offset = request_next_key(data, offset, request.view.keys_end, &start, &size)
        if offset == 0:
            return NULL
        hold = _find(engine, data + start, size)
        if hold != NULL:
            return hold


cdef bint hold_waits(ClientRequest* request) noexcept nogil:
    cdef Hold* hold = _find_any(request)
    if hold == NULL:
        return False
    # The request must not be freed while it waits, even after its deadline.
    request.walks += 1
    request.next_waiting = NULL
    if hold.first == NULL:
        hold.first = request
    else:
        hold.last.next_waiting = request
    hold.last = request
    return True


cdef void release_requests(Engine* engine, ClientRequest* first, ClientRequest* last) noexcept nogil:
    if engine.released == NULL:
        engine.released = first
    else:
        engine.last_released.next_waiting = first
    engine.last_released = last


cdef void hold_release(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef Hold* hold = request.hold
    cdef Hold** place = _bucket(engine, hold.key_hash)
    while place[0] != hold:
        place = &place[0].next
    place[0] = hold.next
    engine.hold_count -= 1
    request.hold = NULL
    if hold.first != NULL:
        release_requests(engine, hold.first, hold.last)
    free(hold)
