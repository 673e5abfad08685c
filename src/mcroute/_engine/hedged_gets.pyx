"""Parts of multigets, and their hedges: `parent` of a hedge is its part, whose `children_asked` counts them."""

from libc.stdint cimport int32_t, uint32_t
from libc.string cimport memcpy

from mcroute._engine.blocks cimport Block, block_new, block_unref
from mcroute._engine.counters cimport counter_add
from mcroute._engine.multigets cimport (
    multiget_ask, multiget_ask_parts, multiget_best, multiget_find, multiget_has_another, multiget_keep, multiget_node,
    multiget_part_over, multiget_retry, part_new,
)
from mcroute._engine.requests cimport request_is_over
from mcroute._engine.retries cimport hedge_is_refused, hedges_sent
from mcroute._engine.state cimport (
    EJECTED, MISS, REFUSED_BY_SERVER, ClientRequest, Engine, KeyState, Link, PlanNode, Rounds,
)
from mcroute._engine.walks cimport walk_fails, walk_free, walk_link, walk_server

cdef enum:                      # Walk.good
    HEDGED = 1                  # a part with hedges
    SETTLED = 2                 # the same, when the request no longer waits for it
    HEDGE = 4

cdef enum:
    ROUNDS_SLOTS = 1            # KeyStates in the place of the Rounds


# ---- hedging ----

cdef bint _is_hedged(ClientRequest* request, const KeyState* state) noexcept nogil:
    cdef int node
    if state.block != NULL:
        return False
    node = multiget_node(request, request.plan.root, state)
    return request.plan.nodes[node].hedges and multiget_has_another(request, node, state, True)


cdef uint32_t _count(Walk* part) noexcept nogil:
    """Number of the part's keys that may be hedged."""
    cdef uint32_t count = 0
    cdef int32_t key = part.first_key
    while key >= 0:
        count += _is_hedged(part.request, &part.request.keys[key])
        key = part.request.keys[key].next
    return count


cdef bint _make_room(ClientRequest* request, uint32_t count) noexcept nogil:
    """Moves the KeyStates to a block that has room for `count` more twins. False without memory."""
    cdef size_t used = request.key_count * sizeof(KeyState) + sizeof(Rounds)
    cdef size_t slots = request.key_count + ROUNDS_SLOTS + request.twins
    cdef Block* block = block_new(&request.plan.engine.uploads, (slots + count) * sizeof(KeyState))
    if block == NULL:
        return False
    memcpy(block.data, request.keys, slots * sizeof(KeyState) if request.twins > 0 else used)
    block_unref(request.key_block)
    request.key_block = block
    request.keys = <KeyState*>block.data
    return True


cdef bint _add_twin(Walk* part, int32_t key) noexcept nogil:
    """Adds a twin of the key to the hedge for its next copy. Whether that hedge is new."""
    cdef ClientRequest* request = part.request
    cdef KeyState* state = &request.keys[key]
    cdef const uint8_t* text = request.block.data + request.offset + state.offset
    cdef int32_t number = <int32_t>(request.key_count + ROUNDS_SLOTS + request.twins)
    cdef PlanNode* ask
    cdef Link* link = NULL
    cdef Walk* hedge = NULL
    cdef bint is_new
    state.tried += 1
    ask = multiget_ask(request, multiget_node(request, request.plan.root, state), state)
    if ask != NULL:
        link = walk_link(walk_server(request, ask, text, state.size), text, state.size)
    if link != NULL and not walk_fails(part, link.server, link):
        hedge = link.group
    else:
        link = NULL
    is_new = link != NULL and hedge == NULL
    if is_new:
        hedge = _new_hedge(part, link, ask, number)
    if hedge == NULL or hedge.tags_cas != ask.tags_cas:
        state.tried -= 1
        return False
    if state.tried == 1:
        state.best = EJECTED
    request.keys[hedge.cursor].next = number
    request.keys[number] = KeyState(NULL, <uint32_t>key, 0, state.offset, -1, state.tried, state.size, EJECTED)
    hedge.cursor = number
    hedge.absent += 1
    request.twins += 1
    return is_new


cdef Walk* _new_hedge(Walk* part, Link* link, PlanNode* ask, int32_t first_key) noexcept nogil:
    cdef Walk* hedge = part_new(part.request, link, ask)
    if hedge == NULL:
        return NULL
    # The request waits for the part, not for its hedges.
    part.request.groups_open -= 1
    hedge.parent = part
    hedge.good = HEDGE
    hedge.first_key = hedge.cursor = first_key
    return hedge


cdef void part_hedge(Walk* part, Server* server, bint is_free) noexcept nogil:
    cdef ClientRequest* request = part.request
    cdef Engine* engine = request.plan.engine
    cdef uint32_t count
    cdef int hedges = 0
    cdef int32_t key = part.first_key
    if part.good != 0 or request_is_over(request):
        return
    count = _count(part)
    if count == 0 or (not is_free and hedge_is_refused(engine)) or not _make_room(request, count):
        return
    while key >= 0:
        if _is_hedged(request, &request.keys[key]):
            hedges += _add_twin(part, key)
        key = request.keys[key].next
    if hedges == 0:
        return
    part.good = HEDGED
    part.children_asked = hedges
    hedges_sent(engine, server, hedges, is_free)
    multiget_ask_parts(request)


# ---- replies ----

cdef bint hedged_item(Walk* walk, const uint8_t* key, size_t size, Slice item) noexcept nogil:
    cdef Walk* part = walk
    cdef KeyState* state = multiget_find(walk, key, size)
    if state == NULL:
        return False
    if walk.good == HEDGE:
        part = walk.parent
        state = &walk.request.keys[state.item_offset]
    # The items of a settled part may be on their way to the client already.
    if part.good & SETTLED or state.block != NULL:
        return True
    multiget_keep(state, item)
    part.absent -= 1
    if walk.good == HEDGE and walk.failure == 0:
        walk.failure = 1
        counter_add(&walk.request.plan.engine.counts.hedges_won, 1)
    return True


cdef void _settle(Walk* part) noexcept nogil:
    cdef ClientRequest* request = part.request
    part.good |= SETTLED
    if part.absent > 0:
        multiget_retry(part, part.failure - 1)
        multiget_ask_parts(request)
    multiget_part_over(request)


cdef void _note(Walk* hedge, int outcome) noexcept nogil:
    """Notes the hedge's outcome at its keys that have no item yet."""
    cdef ClientRequest* request = hedge.request
    cdef int32_t twin = hedge.first_key
    cdef KeyState* state
    while twin >= 0:
        state = &request.keys[request.keys[twin].item_offset]
        if state.block == NULL:
            state.best = <uint8_t>multiget_best(request, state, outcome if outcome >= REFUSED_BY_SERVER else MISS)
        twin = request.keys[twin].next


cdef void _hedge_ended(Walk* hedge, int outcome) noexcept nogil:
    cdef Walk* part = hedge.parent
    cdef bint is_last
    part.children_asked -= 1
    is_last = part.failure != 0 and part.children_asked == 0
    if not part.good & SETTLED:
        _note(hedge, outcome)
        if part.absent == 0 or is_last:
            _settle(part)
    if is_last:
        walk_free(part)
    walk_free(hedge)


cdef void hedged_part_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    if walk.good == HEDGE:
        _hedge_ended(walk, outcome)
        return
    walk.failure = <uint8_t>(outcome + 1)
    if not walk.good & SETTLED and (walk.absent == 0 or walk.children_asked == 0):
        _settle(walk)
    if walk.children_asked == 0:
        walk_free(walk)
