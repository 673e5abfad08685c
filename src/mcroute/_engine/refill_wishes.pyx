# Only for use from Cython: see refill_wishes.pxd.
"""The queue of keys to be refilled, its bounds and its budget."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from mcroute._engine.counters cimport counter_add
from mcroute._engine.deadlines cimport Deadlines, deadline_add
from mcroute._engine.reclaim cimport engine_is_short
from mcroute._engine.refill_list cimport RECENT_SLOTS
from mcroute._engine.refill_replies cimport Item, item_parse
from mcroute._engine.server_words cimport SERVER_UP, word_outs, word_state, word_ups
from mcroute._engine.state cimport PlanTable
from mcroute._engine.walks cimport walk_server
from mcroute._hashing cimport hash_murmur3_32
from mcroute._protocol cimport CMD_META_GET, KEY_MAX, REQ_BASE64

cdef enum:
    WAITING_MAX = 4096
    SEED = 0x7265666C           # not the rings'


cdef Refills* refills_new() noexcept nogil:
    return <Refills*>calloc(1, sizeof(Refills))


cdef void _free_all(Engine* engine, Deadlines* all) noexcept nogil:
    cdef Refill* refill
    while all.first != NULL:
        refill = <Refill*>all.first
        all.first = refill.deadline.next
        refill_free(engine, refill)
    all.last = NULL


cdef void refills_free(Engine* engine) noexcept nogil:
    _free_all(engine, &engine.refills.wished)
    _free_all(engine, &engine.refills.fed)
    _free_all(engine, &engine.refills.resting)
    free(engine.refills)
    engine.refills = NULL


cdef uint64_t refill_mark(const Server* server) noexcept nogil:
    return (word_ups(server.word) + word_outs(server.word) + server.counts.failed + server.counts.disconnects
            + server.counts.connects_failed)


# ---- the queue ----

cdef Refill* _new(
    Engine* engine, const uint8_t* key, size_t size, bint is_base64, Server* source, Server* target
) noexcept nogil:
    cdef Refill* refill
    if engine.refills.waiting_count >= WAITING_MAX or engine_is_short(engine) or not 0 < size <= KEY_MAX:
        return NULL
    refill = <Refill*>calloc(1, sizeof(Refill) + size)
    if refill == NULL:
        return NULL
    refill.plan = engine.plan
    engine.plan.refs += 1
    refill.source = source.id
    refill.target = target.id
    refill.source_mark = refill_mark(source)
    refill.target_mark = refill_mark(target)
    refill.is_base64 = is_base64
    refill.size = <uint8_t>size
    memcpy(refill.key, key, size)
    engine.refills.waiting_count += 1
    counter_add(&engine.counts.refills_open, 1)
    return refill


cdef void refill_free(Engine* engine, Refill* refill) noexcept nogil:
    (<PlanTable*>refill.plan).refs -= 1
    counter_add(&engine.counts.refills_open, 0 - <uint64_t>1)
    free(refill)


cdef void _queue(Engine* engine, Refill* refill, Deadlines* where, double at) noexcept nogil:
    refill.deadline.at = at
    deadline_add(where, &refill.deadline)
    engine.next_check = min(engine.next_check, at)


cdef bint refill_feed(
    Engine* engine, const uint8_t* key, size_t size, bint is_base64, int source, int target
) noexcept nogil:
    cdef Refill* refill = _new(engine, key, size, is_base64, engine.servers[source], engine.servers[target])
    if refill == NULL:
        return False
    _queue(engine, refill, &engine.refills.fed, engine.now)
    return True


# ---- wishes of reads ----

cdef bint _is_recent(Engine* engine, uint32_t key_hash) noexcept nogil:
    """Whether the same was wished a moment ago, by another read of the key; from now on it was."""
    cdef Refills* refills = engine.refills
    cdef uint32_t slot = key_hash & (RECENT_SLOTS - 1)
    if refills.recent[slot] == key_hash and refills.recent_until[slot] > engine.now:
        return True
    refills.recent[slot] = key_hash
    refills.recent_until[slot] = engine.now + refills.hold_off
    return False


cdef bint _has_token(Engine* engine) noexcept nogil:
    """Takes a token of the budget, which holds those of a second."""
    cdef Refills* refills = engine.refills
    cdef double earned = refills.rate * (engine.now - refills.filled_at)
    refills.tokens = min(refills.tokens + earned, max(1.0, refills.rate))
    refills.filled_at = engine.now
    if refills.tokens < 1:
        return False
    refills.tokens -= 1
    return True


cdef void refill_wish(
    Engine* engine, const uint8_t* key, size_t size, bint is_base64, Server* source, Server* target
) noexcept nogil:
    cdef Refills* refills = engine.refills
    cdef Refill* refill = NULL
    if refills.rate <= 0 or source == target or engine.is_ending:
        return
    if word_state(source.word) != SERVER_UP or word_state(target.word) != SERVER_UP:
        return
    if _is_recent(engine, hash_murmur3_32(key, size, SEED ^ <uint32_t>target.id)):
        return
    if _has_token(engine):
        refill = _new(engine, key, size, is_base64, source, target)
    if refill == NULL:
        counter_add(&target.counts.refills_dropped, 1)
        return
    _queue(engine, refill, &refills.wished, engine.now + refills.hold_off)


cdef void refill_wish_children(
    ClientRequest* request, int node, uint32_t missed, int found, const uint8_t* key, size_t size
) noexcept nogil:
    cdef PlanTable* plan = request.plan
    cdef const int* children = &plan.children[plan.nodes[node].children]
    cdef Server* source = walk_server(request, &plan.nodes[children[found]], key, size)
    cdef Server* target
    cdef int i
    if plan != plan.engine.plan or source == NULL:
        return
    for i in range(plan.nodes[node].child_count):
        if missed >> i & 1:
            target = walk_server(request, &plan.nodes[children[i]], key, size)
            if target != NULL:
                refill_wish(plan.engine, key, size, request.view.flags & REQ_BASE64 != 0, source, target)


cdef bint refill_is_fresh(ClientRequest* request, Slice reply) noexcept nogil:
    cdef Item item
    if request.view.command != CMD_META_GET:
        return True
    return item_parse(reply, &item) and not item.is_stale
