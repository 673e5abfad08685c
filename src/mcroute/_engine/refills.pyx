# Only for use from Cython: see refills.pxd.
"""The stages of a refill, in the order in which it passes them."""

from libc.math cimport INFINITY, ceil, floor
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from mcroute._engine.alarms cimport server_missed_key
from mcroute._engine.blocks cimport Block, block_new, block_unref
from mcroute._engine.claims cimport claim_return, claim_take
from mcroute._engine.clock cimport engine_began
from mcroute._engine.counters cimport counter_add
from mcroute._engine.deadlines cimport Deadlines, deadline_add, deadline_remove, deadlines_next
from mcroute._engine.groups cimport request_group
from mcroute._engine.holds cimport hold_exists
from mcroute._engine.links cimport link_takes
from mcroute._engine.reclaim cimport engine_is_short
from mcroute._engine.refill_list cimport (
    REFILL_ADDS, REFILL_DELETES, REFILL_LOOKS, REFILL_LOOKS_AGAIN, REFILL_MEASURES, REFILL_READS, REFILL_RESTS, Refill,
    Refills,
)
from mcroute._engine.refill_replies cimport Item, item_parse
from mcroute._engine.refill_wishes cimport refill_free, refill_mark
from mcroute._engine.requests cimport request_of_engine
from mcroute._engine.server_words cimport SERVER_UP, word_has_others_ghosts, word_is_stale, word_state
from mcroute._engine.state cimport (
    HIT, MISS, NOT_STORED, OVERLOADED, STORED, TIMEOUT, ClientRequest, PlanTable, Route, Server,
)
from mcroute._engine.walks cimport walk_ask, walk_free, walk_link, walk_new, walk_top
from mcroute._protocol cimport KEY_MAX, PARSED_OK, RequestView, request_parse
from mcroute._protocol.literals cimport CRLF, CRLF_SIZE

cdef enum:
    ACTIVE_MAX = 64
    RESTING_MAX = 16 * 1024
    LINE_MAX = KEY_MAX + 128
    RELATIVE_MAX = 30 * 24 * 3600   # seconds: memcached takes a larger lifetime for a date

# Seconds between the read and the answer of the add. A copy that took longer could outlive its source by as much.
cdef double COPY_MAX_S = 1.0
# Seconds by which lifetimes that servers count in whole seconds may differ.
cdef double TICK = 1.0


cdef inline Server* _source(Engine* engine, const Refill* refill) noexcept nogil:
    return engine.servers[refill.source]


cdef inline Server* _target(Engine* engine, const Refill* refill) noexcept nogil:
    return engine.servers[refill.target]


# ---- requests ----

cdef bint _send(Engine* engine, Refill* refill, Server* server, Block* block) noexcept nogil:
    """Asks the server; the block, whose reference is taken, holds the request. False if there is no memory."""
    cdef PlanTable* plan = <PlanTable*>refill.plan
    cdef ClientRequest* request = request_of_engine(plan)
    cdef RequestView view
    cdef Walk* top
    cdef Walk* ask
    if request == NULL:
        block_unref(block)
        return False
    request.block = block
    top = walk_top(request, plan.node_count)
    top.route = <Route*>refill
    ask = NULL
    if request_parse(block.data, block.fill, &engine.limits, False, &view) == PARSED_OK and view.size == block.fill:
        request.view = view
        request.group = <uint8_t>request_group(block.data, &view)
        ask = walk_new(request, top, plan.node_count)
    if ask == NULL:
        request.is_done = request.is_answered = True
        walk_free(top)
        return False
    walk_ask(ask, server, walk_link(server, refill.key, refill.size))
    return True


cdef bint _send_line(Engine* engine, Refill* refill, Server* server, const char* line, int size) noexcept nogil:
    cdef Block* block = block_new(&engine.uploads, <size_t>size)
    if block == NULL:
        return False
    memcpy(block.data, line, <size_t>size)
    block.fill = <size_t>size
    return _send(engine, refill, server, block)


cdef bint _send_get(Engine* engine, Refill* refill, Server* server, const char* flags) noexcept nogil:
    cdef char[LINE_MAX] line
    cdef int size = snprintf(line, LINE_MAX, b"mg %.*s%s %s\r\n", <int>refill.size, <const char*>refill.key,
                             <const char*>(b" b" if refill.is_base64 else b""), flags)
    return _send_line(engine, refill, server, line, size)


cdef bint _send_delete(Engine* engine, Refill* refill) noexcept nogil:
    cdef char[LINE_MAX] line
    cdef const char* base64 = b" b" if refill.is_base64 else b""
    cdef int size
    if refill.target_cas == 0:
        size = snprintf(line, LINE_MAX, b"md %.*s%s\r\n", <int>refill.size, <const char*>refill.key, base64)
    else:
        size = snprintf(line, LINE_MAX, b"md %.*s%s C%llu\r\n", <int>refill.size, <const char*>refill.key, base64,
                        <unsigned long long>refill.target_cas)
    return _send_line(engine, refill, _target(engine, refill), line, size)


cdef bint _send_add(Engine* engine, Refill* refill, const Item* item, int64_t lifetime) noexcept nogil:
    cdef char[LINE_MAX] line
    cdef int size = snprintf(line, LINE_MAX, b"ms %.*s %llu%s ME T%lld F%llu c\r\n", <int>refill.size,
                             <const char*>refill.key, <unsigned long long>item.value.size,
                             <const char*>(b" b" if refill.is_base64 else b""), <long long>lifetime,
                             <unsigned long long>item.client_flags)
    cdef Block* block = block_new(&engine.uploads, <size_t>size + item.value.size + CRLF_SIZE)
    if block == NULL:
        return False
    memcpy(block.data, line, <size_t>size)
    if item.value.size > 0:
        memcpy(block.data + size, item.value.block.data + item.value.offset, item.value.size)
    memcpy(block.data + size + item.value.size, CRLF, CRLF_SIZE)
    block.fill = <size_t>size + item.value.size + CRLF_SIZE
    return _send(engine, refill, _target(engine, refill), block)


# ---- the beginning ----

cdef bint _is_usable(Server* server, uint64_t mark) noexcept nogil:
    """Whether the server has served without a failure since the mark, and holds nothing that may be old."""
    return (word_state(server.word) == SERVER_UP and not word_is_stale(server.word)
            and not word_has_others_ghosts(server.word, server.ghosts) and refill_mark(server) == mark)


cdef bint _may_copy(Engine* engine, const Refill* refill) noexcept nogil:
    return (refill.plan == engine.plan and not refill.is_spoiled and not engine_is_short(engine)
            and _is_usable(_source(engine, refill), refill.source_mark)
            and _is_usable(_target(engine, refill), refill.target_mark)
            and not hold_exists(engine, refill.key, refill.size))


cdef void _end(Engine* engine, Refill* refill) noexcept nogil:
    claim_return(engine, refill.claim)
    engine.refills.active_count -= 1
    # One that waits may begin.
    engine.next_check = min(engine.next_check, engine.now)
    refill_free(engine, refill)


cdef void _skip(Engine* engine, Refill* refill) noexcept nogil:
    counter_add(&_target(engine, refill).counts.refills_skipped, 1)
    _end(engine, refill)


cdef void _begin(Engine* engine, Refill* refill) noexcept nogil:
    engine.refills.active_count += 1
    if not _may_copy(engine, refill) or not claim_take(engine, refill.key, refill.size, &refill.claim):
        _skip(engine, refill)
        return
    refill.stage = REFILL_READS
    refill.read_at = engine.now
    refill.next = engine.refills.reading
    engine.refills.reading = refill
    engine.refills_reading += 1
    if not _send_get(engine, refill, _source(engine, refill), b"v f t c"):
        _have_read(engine, refill, OVERLOADED, Slice(NULL, 0, 0))


# ---- reading, adding ----

cdef void _stop_reading(Engine* engine, Refill* refill) noexcept nogil:
    cdef Refill** at = &engine.refills.reading
    while at[0] != refill:
        at = &at[0].next
    at[0] = refill.next
    engine.refills_reading -= 1


cdef int64_t _lifetime(Engine* engine, Refill* refill, const Item* item) noexcept nogil:
    """The lifetime to send, in memcached's terms; -1: the item has too little left.

    A second less than the source says: its item may end at once after that.
    """
    cdef int64_t left
    refill.lifetime = INFINITY
    if item.ttl < 0:
        return 0
    left = item.ttl - max(<int64_t>1, <int64_t>ceil(engine.now - refill.read_at))
    refill.lifetime = <double>left
    if left <= 0:
        return -1
    if left <= RELATIVE_MAX:
        return left
    if engine.refills.wall_offset <= 0:
        refill.lifetime = RELATIVE_MAX
        return RELATIVE_MAX
    refill.is_dated = True
    return <int64_t>floor(engine.now + engine.refills.wall_offset) + left


cdef void _have_read(Engine* engine, Refill* refill, int outcome, Slice reply) noexcept nogil:
    cdef Item item
    cdef int64_t lifetime
    cdef int reason
    cdef Server* target = _target(engine, refill)
    _stop_reading(engine, refill)
    if outcome == MISS:
        counter_add(&target.counts.refills_gone, 1)
        _end(engine, refill)
        return
    if (outcome != HIT or engine.refills.is_ending or not _may_copy(engine, refill)
            or not item_parse(reply, &item) or item.is_stale or item.value.size > target.value_max
            or not link_takes(walk_link(target, refill.key, refill.size), &reason)):
        _skip(engine, refill)
        return
    lifetime = _lifetime(engine, refill, &item)
    if lifetime < 0:
        _skip(engine, refill)
        return
    refill.source_cas = item.cas
    refill.stage = REFILL_ADDS
    if not _send_add(engine, refill, &item, lifetime):
        _skip(engine, refill)


cdef void _have_added(Engine* engine, Refill* refill, int outcome, Slice reply) noexcept nogil:
    cdef Server* target = _target(engine, refill)
    cdef Item item
    if outcome == STORED and item_parse(reply, &item):
        refill.target_cas = item.cas
        refill.ends_at = engine.now + refill.lifetime
        counter_add(&target.counts.refilled, 1)
        claim_return(engine, refill.claim)
        refill.claim = 0
        if engine.now - refill.read_at > COPY_MAX_S:
            _undo(engine, refill)
        elif refill.is_dated:
            _ask(engine, refill, REFILL_MEASURES, target)
        else:
            _ask(engine, refill, REFILL_LOOKS, _source(engine, refill))
    elif outcome == TIMEOUT or outcome == STORED:
        # It may still be executed: before this delete, on the same link.
        _undo(engine, refill)
    elif outcome == NOT_STORED:
        counter_add(&target.counts.refills_present, 1)
        _end(engine, refill)
    else:
        # Of a lost add, the server has missed a write: see walk_is_copied.
        _skip(engine, refill)


# ---- looking again ----

cdef void _ask(Engine* engine, Refill* refill, int stage, Server* server) noexcept nogil:
    refill.stage = <uint8_t>stage
    # Without an LRU update: nobody has read the item.
    if not _send_get(engine, refill, server, b"c t u"):
        _have_asked(engine, refill, OVERLOADED, Slice(NULL, 0, 0))


cdef bint _is_same(Engine* engine, const Refill* refill, const Item* item) noexcept nogil:
    """Whether the source has the item still, and for as long as the copy."""
    if item.cas != refill.source_cas or item.is_stale:
        return False
    return item.ttl < 0 or engine.now + <double>item.ttl + TICK >= refill.ends_at


cdef void _have_asked(Engine* engine, Refill* refill, int outcome, Slice reply) noexcept nogil:
    cdef Item item
    if engine.refills.is_ending:
        _end(engine, refill)
    elif outcome != HIT or not item_parse(reply, &item):
        _undo(engine, refill)
    elif refill.stage == REFILL_MEASURES:
        # The clock of the target may be behind.
        if item.cas == refill.target_cas and (item.ttl < 0 or <double>item.ttl > refill.lifetime + TICK):
            _undo(engine, refill)
        else:
            _ask(engine, refill, REFILL_LOOKS, _source(engine, refill))
    elif not _is_same(engine, refill, &item):
        _undo(engine, refill)
    elif refill.stage == REFILL_LOOKS and engine.refills.hold_off > 0:
        _rest(engine, refill)
    else:
        _end(engine, refill)


cdef void _rest(Engine* engine, Refill* refill) noexcept nogil:
    refill.stage = REFILL_RESTS
    refill.deadline.at = engine.now + engine.refills.hold_off
    deadline_add(&engine.refills.resting, &refill.deadline)
    engine.refills.resting_count += 1
    engine.refills.active_count -= 1
    engine.next_check = min(engine.next_check, engine.now if engine.refills.waiting_count > 0 else refill.deadline.at)


cdef void _undo(Engine* engine, Refill* refill) noexcept nogil:
    """Deletes the copy, unless another one has taken its place. A server that misses the delete is out of service."""
    counter_add(&_target(engine, refill).counts.refills_undone, 1)
    refill.stage = REFILL_DELETES
    if not _send_delete(engine, refill):
        _miss_delete(engine, refill)


cdef void _miss_delete(Engine* engine, Refill* refill) noexcept nogil:
    """There is no memory for the delete: the server has missed it."""
    server_missed_key(_target(engine, refill), engine, refill.key, refill.size, refill.is_base64)
    _end(engine, refill)


# ---- one ask after the other ----

cdef void refill_ask_ends(Walk* walk, int number, int outcome, Slice reply) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef Engine* engine = request.plan.engine
    cdef Refill* refill = <Refill*>walk.route
    request.is_done = request.is_answered = True
    if refill.stage == REFILL_READS:
        _have_read(engine, refill, outcome, reply)
    elif refill.stage == REFILL_ADDS:
        _have_added(engine, refill, outcome, reply)
    elif refill.stage == REFILL_DELETES:
        _end(engine, refill)
    else:
        _have_asked(engine, refill, outcome, reply)
    walk_free(walk)


cdef Refill* _next(Engine* engine) noexcept nogil:
    """Takes the next refill that is due: those that rest come first, so that there is room for more."""
    cdef Refills* refills = engine.refills
    cdef Deadlines* due = &refills.resting
    cdef Refill* refill
    if deadlines_next(due) > engine.now:
        if refills.resting_count + refills.active_count >= RESTING_MAX:
            return NULL
        due = &refills.wished
    if deadlines_next(due) > engine.now:
        due = &refills.fed
    if deadlines_next(due) > engine.now:
        return NULL
    refill = <Refill*>due.first
    deadline_remove(due, &refill.deadline)
    if due == &refills.resting:
        refills.resting_count -= 1
    else:
        refills.waiting_count -= 1
    return refill


cdef double _due(const Refills* refills) noexcept nogil:
    if refills.active_count >= ACTIVE_MAX:
        return INFINITY
    if refills.resting_count + refills.active_count >= RESTING_MAX:
        return deadlines_next(<Deadlines*>&refills.resting)
    return min(deadlines_next(<Deadlines*>&refills.resting), deadlines_next(<Deadlines*>&refills.wished),
               deadlines_next(<Deadlines*>&refills.fed))


cdef void refills_run(Engine* engine) noexcept nogil:
    cdef Refills* refills = engine.refills
    cdef Refill* refill
    while refills.active_count < ACTIVE_MAX:
        refill = _next(engine)
        if refill == NULL:
            break
        if refill.stage == REFILL_RESTS:
            refills.active_count += 1
            _ask(engine, refill, REFILL_LOOKS_AGAIN, _source(engine, refill))
        else:
            _begin(engine, refill)
    if refills.active_count > 0:
        engine_began(engine, engine.now)
    engine.next_check = min(engine.next_check, _due(refills))
