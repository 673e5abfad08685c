"""Multigets: split by the links that their keys belong to, one get each, and joined in the client's order.

A part is one walk for all of its keys. Its keys without an item go on to the next child in their plan, again in parts.
Keys that cannot share a walk, because their node is no plain ask, are walked one by one.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcmp

from mcroute._engine.blocks cimport block_ref, block_new
from mcroute._engine.chance cimport random_number
from mcroute._engine.combining cimport first_ask_next, first_children_before
from mcroute._engine.dirty cimport conn_break, conn_mark
from mcroute._engine.refill_wishes cimport refill_wish_children
from mcroute._engine.requests cimport request_is_over, request_walk_ended
from mcroute._engine.retries cimport failed_over, may_retry
from mcroute._engine.session_output cimport (
    request_answer_joined, request_answer_line, request_wait, request_write_round,
)
from mcroute._engine.standins cimport standin_takes
from mcroute._engine.state cimport (
    GROUP_READ, HIT, MISS, NODE_ASK, NODE_FIRST, NODE_SWITCH_COMMAND, NODE_SWITCH_PREFIX, OVERLOADED, REFUSED_BY_SERVER,
    Engine, KeyState, Link, PlanNode, PlanPool, PlanTable, Rounds, Server, request_rounds,
)
from mcroute._engine.walks cimport (
    walk_ask, walk_fails, walk_free, walk_link, walk_new, walk_resolve, walk_run, walk_server,
)
from mcroute._hashing.caching cimport prefetch
from mcroute._protocol cimport reply_item, request_next_key
from mcroute._protocol.literals cimport END_SIZE, NO_MEMORY_LINE
from mcroute._ring cimport RingTable, ring_owner_each

cdef enum:
    ROUND_BYTES = 8 << 20       # expected bytes of the items in a round after the first
    KEYS_A_ROUND = 32           # keys whose owners are looked up together
    ROUND_KEYS_MIN = 8          # keys of a request's round at least, however large their items are
    KEYS_AT_ONCE = 64 * 1024    # keys of a request's round at most


cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef inline const uint8_t* _text(const ClientRequest* request, const KeyState* state) noexcept nogil:
    return request.block.data + request.offset + state.offset


cdef void multiget_keep(KeyState* state, Slice item) noexcept nogil:
    block_ref(item.block)
    state.block = item.block
    state.item_offset = <uint32_t>item.offset
    state.item_size = <uint32_t>item.size


cdef inline KeyState* _next_key(Walk* walk) noexcept nogil:
    """Returns the key at the cursor, and moves the cursor to the key after it."""
    cdef KeyState* keys = walk.request.keys
    cdef KeyState* state = &keys[walk.cursor]
    walk.cursor = state.next
    # Between request and reply other processes have used the cache.
    if walk.cursor >= 0:
        prefetch(&keys[walk.cursor])
    return state


cdef size_t multiget_next_item(Walk* walk, Block* block, size_t start, size_t size, size_t value_max) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef const KeyState* state
    if walk.cursor < 0 or walk.good != 0:
        return 0
    state = &request.keys[walk.cursor]
    size = reply_item(block.data + start, size, _text(request, state), state.size, value_max)
    if size > 0:
        multiget_keep(_next_key(walk), Slice(block, start, size))
        walk.absent -= 1
    return size


cdef KeyState* multiget_find(Walk* walk, const uint8_t* key, size_t size) noexcept nogil:
    """Finds the key among those still expected; keys before it have no item. NULL: it is not expected."""
    cdef KeyState* state
    while walk.cursor >= 0:
        state = _next_key(walk)
        if state.size == size and memcmp(key, _text(walk.request, state), size) == 0:
            return state
    return NULL


cdef bint multiget_item(Walk* walk, const uint8_t* key, size_t size, Slice item) noexcept nogil:
    """Replies keep the order of the keys, and omit misses."""
    cdef KeyState* state = multiget_find(walk, key, size)
    if state == NULL:
        return False
    multiget_keep(state, item)
    walk.absent -= 1
    return True


cdef bint multiget_skip(Walk* walk, const uint8_t* key, size_t size) noexcept nogil:
    if multiget_find(walk, key, size) == NULL:
        return False
    # The key stays without an item. Its plan may ask the next server, in vain: the get has failed.
    if walk.parent == NULL and walk.absent > 0:
        walk.request.failure = REFUSED_BY_SERVER
    return True


cdef void multiget_key_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    cdef ClientRequest* request = walk.request
    if outcome == HIT and reply.block != NULL:
        # The item, without the END after it.
        multiget_keep(&request.keys[walk.first_key], Slice(reply.block, reply.offset, reply.size - END_SIZE))
    elif outcome >= REFUSED_BY_SERVER:
        request.failure = outcome
        _note_refusal(request, outcome, reply)
    multiget_part_over(request)

cdef void _note_refusal(ClientRequest* request, int outcome, Slice reply) noexcept nogil:
    """Keeps the first refusing server's line for the client, as for a get of one key."""
    if outcome == REFUSED_BY_SERVER == request.failure and reply.block != NULL and request.reply.block == NULL:
        block_ref(reply.block)
        request.reply = reply


cdef void multiget_part_over(ClientRequest* request) noexcept nogil:
    request.groups_open -= 1
    if request.groups_open > 0 or request.is_done:
        return
    if request.is_in_rounds and _has_more_rounds(request):
        request_wait(request)
        multiget_resume(request)
    else:
        request_answer_joined(request)


cdef bint _has_more_rounds(ClientRequest* request) noexcept nogil:
    return (request.session != NULL and request.failure == HIT
            and request_rounds(request).end < request.key_count)


# ---- a key's way through its plan ----

cdef bint _is_switch(PlanNode* node) noexcept nogil:
    return node.kind == NODE_SWITCH_PREFIX or node.kind == NODE_SWITCH_COMMAND


cdef int multiget_node(ClientRequest* request, int node, const KeyState* state) noexcept nogil:
    """The key's node after the switches, which only some plans have."""
    if not _is_switch(&request.plan.nodes[node]):
        return node
    return walk_resolve(request, node, _text(request, state), state.size)


cdef int _child(ClientRequest* request, PlanNode* first, const KeyState* state) noexcept nogil:
    cdef uint32_t start = request.start if first.random_start else 0
    return <int>((start + state.tried) % <uint32_t>first.child_count)


cdef bint _may_stand_in(ClientRequest* request, PlanNode* gutter, const KeyState* state) noexcept nogil:
    """Whether a stand-in may be asked for the key together with other keys."""
    return request.group == GROUP_READ and standin_takes(
        request, gutter, _child(request, gutter, state), _text(request, state), state.size)


cdef PlanNode* multiget_ask(ClientRequest* request, int node, const KeyState* state) noexcept nogil:
    """The ask that the key has reached, if other keys can share it; else NULL."""
    cdef PlanNode* ask = &request.plan.nodes[node]
    if ask.kind == NODE_FIRST:
        if ask.is_gutter and state.tried > 0 and not _may_stand_in(request, ask, state):
            return NULL
        ask = &request.plan.nodes[request.plan.children[ask.children + _child(request, ask, state)]]
    return ask if ask.kind == NODE_ASK else NULL


cdef bint multiget_has_another(ClientRequest* request, int node, const KeyState* state, bint is_error) noexcept nogil:
    """Whether the node has one more child for the key after an error, or a miss."""
    cdef PlanNode* first = &request.plan.nodes[node]
    return (first.kind == NODE_FIRST and state.tried + 1 < <uint32_t>first.child_count and not request.is_done
            and (is_error or first.on_miss) and not request_is_over(request))


cdef int multiget_best(ClientRequest* request, const KeyState* state, int outcome) noexcept nogil:
    cdef const uint8_t* ranks = &request.plan.merge[request.group][0]
    return state.best if state.tried > 0 and ranks[state.best] < ranks[outcome] else outcome


cdef bint multiget_may_move(Walk* part) noexcept nogil:
    cdef ClientRequest* request = part.request
    cdef int32_t key = part.first_key
    cdef KeyState* state
    while key >= 0:
        state = &request.keys[key]
        if state.block == NULL and multiget_has_another(
                request, multiget_node(request, request.plan.root, state), state, True):
            return True
        key = state.next
    return False


# ---- parts ----

cdef void _walk_key(ClientRequest* request, int32_t key, int node) noexcept nogil:
    """Walks one key of a multiget by itself, from its present child on."""
    cdef KeyState* state = &request.keys[key]
    cdef Walk* walk = walk_new(request, NULL, node)
    request.groups_open += 1
    if walk == NULL:
        request.failure = OVERLOADED
        multiget_part_over(request)
        return
    walk.first_key = key
    if state.tried > 0:
        first_ask_next(walk, _child(request, &request.plan.nodes[node], state), <int>state.tried, state.best)
    else:
        walk_run(walk)


cdef Walk* part_new(ClientRequest* request, Link* link, PlanNode* ask) noexcept nogil:
    cdef Walk* part = walk_new(request, NULL, request.plan.root)
    if part == NULL:
        return NULL
    part.is_group = True
    part.tags_cas = ask.tags_cas
    part.link = link
    # `spare` chains the parts until they are asked.
    part.spare = request.parts
    request.parts = part
    link.group = part
    request.groups_open += 1
    return part


cdef void _join(ClientRequest* request, int32_t key, int node) noexcept nogil:
    cdef KeyState* state = &request.keys[key]
    cdef const uint8_t* text = _text(request, state)
    cdef PlanNode* ask = multiget_ask(request, node, state)
    cdef Link* link = NULL
    if ask != NULL:
        link = walk_link(walk_server(request, ask, text, state.size), text, state.size)
    _join_part(request, key, node, ask, link)


cdef void _join_part(ClientRequest* request, int32_t key, int node, PlanNode* ask, Link* link) noexcept nogil:
    """Adds the key to its link's part; walks it by itself if it cannot join the part."""
    cdef Walk* part
    if link == NULL or (link.group != NULL and link.group.tags_cas != ask.tags_cas):
        _walk_key(request, key, node)
        return
    part = link.group
    if part == NULL:
        part = part_new(request, link, ask)
        if part == NULL:
            request.failure = OVERLOADED
            return
        part.first_key = key
    else:
        request.keys[part.cursor].next = key
    part.cursor = key
    part.absent += 1


cdef const RingTable* _ring_of_owner(ClientRequest* request, PlanNode* ask) noexcept nogil:
    """The ring that finds the ask's server; NULL if the ask is not for the owner, or the pool has one server."""
    cdef PlanPool* pool
    if ask == NULL or ask.rank > 0:
        return NULL
    pool = &request.plan.pools[ask.pool]
    prefetch(pool.server_ids)
    return pool.ring if pool.size > 1 else NULL


cdef void _join_owners(ClientRequest* request, int32_t first, int count, const RingTable* ring, int node,
                       PlanNode* ask, const int* nodes) noexcept nogil:
    """Adds the keys to their owners' parts, by one ring. `nodes` are the nodes of the keys; NULL: `node` for all."""
    cdef (const uint8_t*)[KEYS_A_ROUND] texts
    cdef size_t[KEYS_A_ROUND] sizes
    cdef int[KEYS_A_ROUND] owners
    cdef Server* server
    cdef int i
    for i in range(count):
        texts[i] = _text(request, &request.keys[first + i])
        sizes[i] = request.keys[first + i].size
    ring_owner_each(ring, texts, sizes, count, owners)
    for i in range(count):
        if nodes != NULL:
            node = nodes[i]
            ask = multiget_ask(request, node, &request.keys[first + i])
        server = request.plan.engine.servers[request.plan.pools[ask.pool].server_ids[owners[i]]]
        _join_part(request, first + i, node, ask, walk_link(server, texts[i], sizes[i]))


cdef void _join_all(ClientRequest* request, int node, int32_t first, int32_t count) noexcept nogil:
    """Adds the keys from `first` to `count`, exclusive, which are all at `node`, to parts."""
    cdef PlanNode* ask = multiget_ask(request, node, &request.keys[first])
    cdef const RingTable* ring = _ring_of_owner(request, ask)
    while first < count:
        if ring == NULL:
            _join(request, first, node)
            first += 1
        else:
            _join_owners(request, first, min(count - first, <int32_t>KEYS_A_ROUND), ring, node, ask, NULL)
            first += KEYS_A_ROUND


cdef void _join_switched(ClientRequest* request, int switch, int32_t first, int32_t end) noexcept nogil:
    """Adds each key at the node that the switch selects. Adjacent keys with the same ring are looked up together."""
    cdef int[KEYS_A_ROUND] nodes
    cdef int count = 0
    cdef const RingTable* shared = NULL
    cdef const RingTable* ring
    cdef int32_t i
    cdef int node
    for i in range(first, end):
        node = multiget_node(request, switch, &request.keys[i])
        ring = _ring_of_owner(request, multiget_ask(request, node, &request.keys[i]))
        if count > 0 and (ring != shared or count == KEYS_A_ROUND):
            _join_owners(request, i - count, count, shared, 0, NULL, nodes)
            count = 0
        if ring == NULL:
            _join(request, i, node)
            continue
        shared = ring
        nodes[count] = node
        count += 1
    if count > 0:
        _join_owners(request, end - count, count, shared, 0, NULL, nodes)


cdef void _ask_part(Walk** at) noexcept nogil:
    cdef Walk* part = at[0]
    cdef Link* link = part.link
    at[0] = part.spare
    link.group = NULL
    part.link = NULL
    part.cursor = part.first_key
    walk_ask(part, link.server, link)


cdef void multiget_ask_parts(ClientRequest* request) noexcept nogil:
    """Asks the parts. Parts that fail at once go first: their keys may join the parts of other servers."""
    cdef Walk** at = &request.parts
    if request.is_asking:
        return
    request.is_asking = True
    while at[0] != NULL:
        if walk_fails(at[0], at[0].link.server, at[0].link):
            _ask_part(at)
        else:
            at = &at[0].spare
    while request.parts != NULL:
        _ask_part(&request.parts)
    request.is_asking = False


# ---- beginning ----

cdef bint _lay_out_keys(ClientRequest* request) noexcept nogil:
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t at = request.view.key_offset
    cdef uint32_t count = request.view.key_count
    cdef uint32_t size = 0
    cdef KeyState* state
    cdef uint32_t i
    request.key_block = block_new(&request.plan.engine.uploads, count * sizeof(KeyState) + sizeof(Rounds))
    if request.key_block == NULL:
        return False
    request.keys = <KeyState*>request.key_block.data
    request.key_count = count
    if request.session != NULL and count > request.plan.engine.round_keys:
        request.is_in_rounds = True
        request_rounds(request)[0] = Rounds(0, request.plan.engine.round_keys, 0, False)
    for i in range(count):
        state = &request.keys[i]
        at = request_next_key(data, at, request.view.keys_end, &state.offset, &size)
        state.size = <uint8_t>size
        state.block = NULL
        state.next = -1
        state.tried = 0
    return True


cdef void multiget_begin(ClientRequest* request) noexcept nogil:
    if not _lay_out_keys(request):
        request.outcome = OVERLOADED
        request_answer_line(request, NO_MEMORY_LINE)
        return
    request.start = <uint32_t>random_number(request.plan.engine)
    if request.is_in_rounds:
        _ask_keys(request, 0, <int32_t>request_rounds(request).end)
    else:
        _ask_keys(request, 0, <int32_t>request.key_count)


cdef void _ask_keys(ClientRequest* request, int32_t first, int32_t end) noexcept nogil:
    cdef PlanTable* plan = request.plan
    cdef int root = plan.root
    # A reference until all parts are asked, so that parts that end at once do not end the request.
    request.groups_open = 1
    request.walks += 1
    if plan.nodes[root].kind == NODE_SWITCH_COMMAND:
        root = plan.children[plan.nodes[root].children + request.group]
    if _is_switch(&plan.nodes[root]):
        _join_switched(request, root, first, end)
    else:
        _join_all(request, root, first, end)
    multiget_ask_parts(request)
    multiget_part_over(request)
    request_walk_ended(request)


# ---- rounds ----

cdef uint32_t _next_count(Engine* engine, uint32_t keys, uint64_t bytes) noexcept nogil:
    """Number of keys whose items have ROUND_BYTES, if the items are as large as in the last round."""
    cdef uint64_t count = <uint64_t>keys * ROUND_BYTES // max(bytes, <uint64_t>1)
    engine.round_keys = <uint32_t>max(<uint64_t>ROUND_KEYS_MIN, min(count, <uint64_t>ROUND_KEYS_MAX))
    return <uint32_t>max(<uint64_t>ROUND_KEYS_MIN, min(count, <uint64_t>KEYS_AT_ONCE))


cdef void multiget_resume(ClientRequest* request) noexcept nogil:
    cdef Session* session = request.session
    cdef Rounds* rounds = request_rounds(request)
    cdef uint64_t before
    cdef uint32_t count
    if session.head != request or session.conn.out.bytes > UNREAD_BYTES or session.conn.is_broken:
        return
    before = session.conn.out.bytes
    if not request_write_round(request):
        conn_break(&session.conn)
        return
    count = _next_count(request.plan.engine, rounds.end - rounds.first, session.conn.out.bytes - before)
    rounds.first = rounds.end
    rounds.end = min(request.key_count, rounds.end + count)
    conn_mark(&session.conn)
    _ask_keys(request, <int32_t>rounds.first, <int32_t>rounds.end)


cdef void session_resume(Session* session) noexcept nogil:
    cdef ClientRequest* request = session.head
    while request != NULL and not request.is_stalled:
        request = request.next
    session.has_rounds = request != NULL
    if request != NULL and request == session.head:
        multiget_resume(request)

# ---- ending ----

cdef void multiget_retry(Walk* part, int outcome) noexcept nogil:
    """Asks the next child for the keys without an item, if their plan has one."""
    cdef ClientRequest* request = part.request
    cdef int32_t key = part.first_key
    cdef KeyState* state
    cdef int node
    cdef bint is_error = outcome >= REFUSED_BY_SERVER
    # One retry token for all of them: one request has failed.
    cdef bint is_decided = False
    cdef bint is_retried = False
    if not is_error:
        outcome = MISS
    while key >= 0:
        state = &request.keys[key]
        if state.block == NULL:
            state.best = <uint8_t>multiget_best(request, state, outcome)
            node = multiget_node(request, request.plan.root, state)
            if not is_decided and multiget_has_another(request, node, state, is_error):
                is_decided = True
                is_retried = may_retry(request.plan.engine, outcome)
                if is_retried and is_error:
                    failed_over(request.plan.engine, outcome)
            if is_retried and multiget_has_another(request, node, state, is_error):
                key = _next_child(request, key, node)
                continue
            if state.best >= REFUSED_BY_SERVER:
                request.failure = state.best
        key = state.next


cdef int32_t _next_child(ClientRequest* request, int32_t key, int node) noexcept nogil:
    """Moves the key to its next child. Returns the key after it in its part."""
    cdef KeyState* state = &request.keys[key]
    cdef int32_t following = state.next
    state.next = -1
    state.tried += 1
    request.has_missed |= request.plan.nodes[node].refills
    _join(request, key, node)
    return following


cdef void _wish_refills(Walk* part) noexcept nogil:
    """For the keys of the part that have an item, after another copy missed them."""
    cdef ClientRequest* request = part.request
    cdef int32_t key = part.first_key
    cdef KeyState* state
    cdef PlanNode* first
    cdef int node
    cdef int found
    while key >= 0:
        state = &request.keys[key]
        key = state.next
        if state.block == NULL or state.tried == 0 or state.best != MISS:
            continue
        node = multiget_node(request, request.plan.root, state)
        first = &request.plan.nodes[node]
        if first.refills:
            found = _child(request, first, state)
            refill_wish_children(request, node, first_children_before(first, found, <int>state.tried), found,
                                 _text(request, state), state.size)


cdef void multiget_part_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    cdef ClientRequest* request = walk.request
    if walk.good != 0:
        request.plan.hedged_part_ends(walk, outcome, reply)
        return
    if request.has_missed:
        _wish_refills(walk)
    if walk.absent > 0:
        multiget_retry(walk, outcome)
        _note_refusal(request, outcome, reply)
        multiget_ask_parts(request)
    multiget_part_over(request)
    walk_free(walk)
