"""A table of 64-bit words that engines on several threads change by compare-and-swap."""

from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from mcroute._engine.holds cimport hold_key
from mcroute._engine.state cimport GROUP_FLUSH, GROUP_LAST_READ, GROUP_READ_TOUCH, PlanTable, Server, walk_key
from mcroute._engine.server_words cimport SERVER_UP, mcroute_load, mcroute_swap, word_has_others_ghosts, word_state
from mcroute._hashing cimport hash_murmur3_32
from mcroute._hashing.caching cimport prefetch
from mcroute._protocol cimport request_next_key

cdef enum:
    SEED = 0x636C6169           # not the rings': keys of one server are not to share slots
    EVERY_KEY = CLAIM_SLOTS     # one slot more: ghosts of commands with several keys, or with none
    OWNER_MASK = 0xFF
    CLAIMS_SHIFT = 8
    CLAIMS_MASK = 0xFFFFFF

    WAITED_SHIFT = 32
    GHOSTS_SHIFT = 33

cdef uint64_t ONE_CLAIM = <uint64_t>1 << CLAIMS_SHIFT
cdef uint64_t WAITED = <uint64_t>1 << WAITED_SHIFT
cdef uint64_t ONE_GHOST = <uint64_t>1 << GHOSTS_SHIFT

# Seconds. A server that goes out of service releases no slot: requests that wait for its ghosts look again by time.
cdef double LOOK_AGAIN = 0.005


# ---- the table ----

cdef Claims* claims_new() noexcept nogil:
    cdef Claims* claims = <Claims*>calloc(1, sizeof(Claims))
    if claims == NULL:
        return NULL
    claims.slots = <uint64_t*>calloc(CLAIM_SLOTS + 1, sizeof(uint64_t))
    if claims.slots == NULL:
        free(claims)
        return NULL
    return claims


cdef void claims_free(Claims* claims) noexcept nogil:
    if claims != NULL:
        free(claims.slots)
        free(claims)


cdef bint claims_join(Engine* engine, Claims* claims, int number) noexcept nogil:
    if engine.slot_ghosts == NULL:
        engine.slot_ghosts = <uint32_t*>calloc(CLAIM_SLOTS + 1, sizeof(uint32_t))
    if engine.slot_ghosts == NULL:
        return False
    engine.claims = claims
    engine.claimant = number
    return True


cdef inline uint32_t _slot(const uint8_t* key, size_t size) noexcept nogil:
    return hash_murmur3_32(key, size, SEED) & (CLAIM_SLOTS - 1)


cdef uint32_t _slot_of(ClientRequest* request) noexcept nogil:
    return _slot(request.block.data + request.offset + request.view.key_offset, request.view.key_size)


cdef void claim_expect(Engine* engine, const uint8_t* key, size_t size) noexcept nogil:
    if engine.claims != NULL and engine.plan.has_copies:
        prefetch(&engine.claims.slots[_slot(key, size)])


cdef void claim_expect_release(ClientRequest* request) noexcept nogil:
    if request.claim != 0:
        prefetch(&request.plan.engine.claims.slots[request.claim - 1])


cdef inline void _add(uint64_t* at, uint64_t what) noexcept nogil:
    cdef uint64_t bits = mcroute_load(at)
    while not mcroute_swap(at, bits, bits + what):
        bits = mcroute_load(at)


cdef void claims_close(Claims* claims) noexcept nogil:
    _add(&claims.closed, 1)


cdef void claims_open(Claims* claims) noexcept nogil:
    _add(&claims.closed, 0 - <uint64_t>1)


# ---- owners of slots ----

cdef inline uint64_t _claims(uint64_t bits) noexcept nogil:
    return bits >> CLAIMS_SHIFT & CLAIMS_MASK


cdef inline bint _is_taken(Engine* engine, uint64_t bits) noexcept nogil:
    """Whether another engine has claims on the slot."""
    return _claims(bits) > 0 and <int>(bits & OWNER_MASK) != engine.claimant


cdef bint _has_others_ghosts(Engine* engine, uint32_t slot) noexcept nogil:
    return mcroute_load(&engine.claims.slots[slot]) >> GHOSTS_SHIFT > engine.slot_ghosts[slot]


cdef bint _any_slot(ClientRequest* request, bint (*holds)(Engine*, uint32_t) noexcept nogil) noexcept nogil:
    """Whether `holds` is true for the slot of any of the request's keys."""
    cdef Engine* engine = request.plan.engine
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t offset = request.view.key_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    if request.view.key_count <= 1:
        return holds(engine, _slot_of(request))
    while True:
        offset = request_next_key(data, offset, request.view.keys_end, &start, &size)
        if offset == 0:
            return False
        if holds(engine, _slot(data + start, size)):
            return True


cdef bint _sets_waited(uint64_t* at, uint64_t bits) noexcept nogil:
    """Sets WAITED in the slot, so that its owner wakes us. False if the slot has changed since `bits` was read."""
    return bits & WAITED != 0 or mcroute_swap(at, bits, bits | WAITED)


cdef bint _waits_for_slot(Engine* engine, uint32_t slot) noexcept nogil:
    """Whether another engine has the slot; if so, that engine wakes us when it releases the slot."""
    cdef uint64_t* at = &engine.claims.slots[slot]
    cdef uint64_t bits = mcroute_load(at)
    while _is_taken(engine, bits):
        if _sets_waited(at, bits):
            return True
        bits = mcroute_load(at)
    return False


cdef bint _is_about(ClientRequest* request, uint32_t slot) noexcept nogil:
    """Whether any of the request's keys is in the slot."""
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t offset = request.view.key_offset
    cdef uint32_t start = 0
    cdef uint32_t size = 0
    if request.view.key_count <= 1:
        return _slot_of(request) == slot
    while True:
        offset = request_next_key(data, offset, request.view.keys_end, &start, &size)
        if offset == 0:
            return False
        if _slot(data + start, size) == slot:
            return True


cdef bint _has_ghosts(ClientRequest* request) noexcept nogil:
    """Whether another engine has a ghost of one of the request's keys."""
    cdef Engine* engine = request.plan.engine
    if mcroute_load(&engine.claims.ghosts) == engine.ghosts:
        return False
    return _has_others_ghosts(engine, EVERY_KEY) or _any_slot(request, _has_others_ghosts)


cdef bint _any_server_has_ghosts(Engine* engine) noexcept nogil:
    """Whether a server in service has another engine's ghost. Other servers are fenced before they are restored."""
    cdef Server* server
    cdef int i
    for i in range(engine.server_count):
        server = engine.servers[i]
        if word_state(server.word) == SERVER_UP and word_has_others_ghosts(server.word, server.ghosts):
            return True
    return False


cdef bint _waits_for_ghosts(ClientRequest* request) noexcept nogil:
    """Whether to wait for ghosts: at most as long as a reply may take. Then the silent server misses this write."""
    cdef PlanTable* plan = request.plan
    return (plan.engine.now < request.deadline.at - plan.deadline + plan.shortest and _has_ghosts(request)
            and _any_server_has_ghosts(plan.engine))


cdef bint _is_anothers_turn(Engine* engine, uint64_t bits) noexcept nogil:
    """Whether to give way to requests that wait for the slot: a stream of requests must not keep it for ever."""
    return bits & WAITED != 0 and (_claims(bits) > 0 or not engine.is_resuming)


cdef bint _take(ClientRequest* request) noexcept nogil:
    """Claims the slot of the request's key. If that is impossible now, sets WAITED and returns False."""
    cdef Engine* engine = request.plan.engine
    cdef uint32_t slot = _slot_of(request)
    cdef uint64_t* at = &engine.claims.slots[slot]
    cdef uint64_t bits = mcroute_load(at)
    cdef bint must_wait = mcroute_load(&engine.claims.closed) > 0 or _waits_for_ghosts(request)
    while True:
        if must_wait or _is_taken(engine, bits) or _is_anothers_turn(engine, bits):
            if _sets_waited(at, bits):
                return False
        elif mcroute_swap(at, bits, (bits & ~<uint64_t>OWNER_MASK | <uint64_t>engine.claimant) + ONE_CLAIM):
            request.claim = slot + 1
            return True
        bits = mcroute_load(at)


cdef bint _awaits_ghosts(ClientRequest* request) noexcept nogil:
    """As _take, for a write that claims nothing: the engine that receives the late reply wakes us."""
    cdef uint64_t* at
    if not _waits_for_ghosts(request):
        return False
    at = &request.plan.engine.claims.slots[_slot_of(request)]
    while not _sets_waited(at, mcroute_load(at)):
        pass
    return True


cdef bint _is_awaited_here(Engine* engine, uint32_t slot) noexcept nogil:
    cdef ClientRequest* request = engine.waiting
    while request != NULL:
        if _is_about(request, slot):
            return True
        request = request.next_waiting
    return False


cdef void _wake_if_waited(Engine* engine, uint32_t slot) noexcept nogil:
    """Wakes the other engines, which go first. If a request waits here too, WAITED stays, so that they wake us."""
    cdef uint64_t* at = &engine.claims.slots[slot]
    cdef uint64_t bits = mcroute_load(at)
    while bits & WAITED:
        if _is_awaited_here(engine, slot) or mcroute_swap(at, bits, bits & ~WAITED):
            engine.wakes_others = True
            return
        bits = mcroute_load(at)


cdef void claim_release(ClientRequest* request) noexcept nogil:
    cdef uint32_t claim = request.claim
    request.claim = 0
    claim_return(request.plan.engine, claim)


# ---- without a request ----

cdef bint claim_take(Engine* engine, const uint8_t* key, size_t size, uint32_t* claim) noexcept nogil:
    cdef uint32_t slot
    cdef uint64_t* at
    cdef uint64_t bits
    claim[0] = 0
    if engine.claims == NULL:
        return True
    slot = _slot(key, size)
    at = &engine.claims.slots[slot]
    while True:
        bits = mcroute_load(at)
        if (_is_taken(engine, bits) or bits & WAITED or mcroute_load(&engine.claims.closed) > 0
                or _has_others_ghosts(engine, slot) or _has_others_ghosts(engine, EVERY_KEY)):
            return False
        if mcroute_swap(at, bits, (bits & ~<uint64_t>OWNER_MASK | <uint64_t>engine.claimant) + ONE_CLAIM):
            claim[0] = slot + 1
            return True


cdef void claim_return(Engine* engine, uint32_t claim) noexcept nogil:
    cdef uint32_t slot = claim - 1
    if claim == 0:
        return
    _add(&engine.claims.slots[slot], 0 - ONE_CLAIM)
    if _claims(mcroute_load(&engine.claims.slots[slot])) == 0:
        _wake_if_waited(engine, slot)


# ---- waiting ----

cdef void _wait(ClientRequest* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    # The request must not be freed while it waits, even after its deadline.
    request.walks += 1
    engine.waiting_reads += request.hold == NULL
    request.next_waiting = NULL
    if engine.waiting == NULL:
        engine.waiting = request
    else:
        engine.last_waiting.next_waiting = request
    engine.last_waiting = request
    engine.next_check = min(engine.next_check, claims_due(engine))


cdef bint _writes_a_key(ClientRequest* request) noexcept nogil:
    if request.group == GROUP_READ_TOUCH:
        return request.view.key_count <= 1
    return request.group > GROUP_LAST_READ and request.group != GROUP_FLUSH


cdef bint _would_pass_a_read(ClientRequest* request) noexcept nogil:
    """Whether an earlier read of the key waits: it holds no key, so this write would overtake it."""
    cdef ClientRequest* earlier = request.plan.engine.waiting
    if request.plan.engine.waiting_reads == 0:
        return False
    while earlier != NULL:
        if earlier.hold == NULL and _is_about(earlier, _slot_of(request)):
            return True
        earlier = earlier.next_waiting
    return False


cdef bint claim_waits(ClientRequest* request) noexcept nogil:
    cdef PlanTable* plan = request.plan
    if plan.engine.is_ending:
        return False
    if not _writes_a_key(request):
        # A write may be answered before all copies have executed it: a read of another engine waits for them.
        if plan.answers_early and _any_slot(request, _waits_for_slot):
            _wait(request)
            return True
    elif _would_pass_a_read(request) or (not _take(request) if plan.has_copies else _awaits_ghosts(request)):
        # Later requests of this engine must not overtake it.
        hold_key(request)
        _wait(request)
        return True
    request.has_ghosts = _has_ghosts(request)
    return False


cdef double claims_due(Engine* engine) noexcept nogil:
    return engine.now + LOOK_AGAIN if engine.waiting != NULL else INFINITY


# ---- ghosts ----

cdef uint32_t claim_add_ghost(Walk* walk) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef Engine* engine = request.plan.engine
    cdef uint32_t slot = EVERY_KEY
    cdef const uint8_t* key
    cdef size_t size
    if engine.claims == NULL:
        return 0
    if not walk.is_group and request.group != GROUP_FLUSH:
        key = walk_key(walk, &size)
        slot = _slot(key, size)
    engine.slot_ghosts[slot] += 1
    engine.ghosts += 1
    _add(&engine.claims.slots[slot], ONE_GHOST)
    _add(&engine.claims.ghosts, 1)
    return slot


cdef void claim_remove_ghost(Engine* engine, uint32_t slot) noexcept nogil:
    if engine.claims == NULL:
        return
    engine.slot_ghosts[slot] -= 1
    engine.ghosts -= 1
    _add(&engine.claims.ghosts, 0 - <uint64_t>1)
    _add(&engine.claims.slots[slot], 0 - ONE_GHOST)
    _wake_if_waited(engine, slot)
