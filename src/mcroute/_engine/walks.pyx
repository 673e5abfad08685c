"""The walk of a request through the nodes of its plan.

A walk is one node at work for one request. `_run` starts it, `walk_end` carries its outcome to the walk
above, which asks its next child, waits for more, or ends in turn; the topmost's outcome is the answer.
Plans have no cycles and few levels, so the recursion is as deep as the plan.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcmp, memcpy, memset, strlen

from mcroute._engine.answers cimport (
    conn_break, request_answer, request_answer_joined, request_answer_text, request_walk_ended,
)
from mcroute._engine.blocks cimport Block, block_drop, block_keep, block_new, slice_drop
from mcroute._engine.custom cimport route_begin, route_child_ended, route_ended
from mcroute._engine.holds cimport hold_key, hold_waits
from mcroute._engine.lines cimport error_line, plain_line
from mcroute._engine.links cimport link_takes
from mcroute._engine.meta cimport meta_reply
from mcroute._engine.outgoing cimport send_request
from mcroute._engine.state cimport (
    COPIES_MAX, DELETED, EJECTED, EXISTS, GROUP_LAST_READ, HIT, LOST, MISS, NODE_ALL, NODE_ASK,
    NODE_CONSTANT, NODE_DETACH, NODE_FIRST, NODE_PYTHON, NODE_SWITCH_COMMAND, NODE_SWITCH_PREFIX,
    NODE_THEN, NUMBER, OVERLOADED, REFUSED_BY_SERVER, RETRIES_MAX, SERVER_EJECTED, SERVER_UP, STORED,
    TIMEOUT, TOUCHED, Engine, KeyState, Link, PlanNode, PlanPool, PlanTable, Server, Text,
)
from mcroute._protocol cimport CMD_GATS, CMD_META_GET, request_next_key
from mcroute._engine.tokens cimport TAG_BITS, token_of_request
from mcroute._hashing cimport hash_murmur3_32
from mcroute._ring cimport ring_owner, ring_owners

cdef enum:
    LINK_SEED = 0x6C696E6B      # not the rings': which link it is must not depend on which server it is
    RANK_WORST = 255


cdef Slice NOTHING = Slice(NULL, 0, 0)


# ---- a walk's life ----

cdef Walk* _walk_new(Request* request, Walk* parent, int node) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef Walk* walk = engine.spare_walks
    if walk != NULL:
        engine.spare_walks = walk.spare
    else:
        walk = <Walk*>malloc(sizeof(Walk))
        if walk == NULL:
            return NULL
    memset(walk, 0, sizeof(Walk))
    _walk_set(walk, request, parent, node)
    return walk


cdef void _walk_set(Walk* walk, Request* request, Walk* parent, int node) noexcept nogil:
    walk.request = request
    walk.parent = parent
    walk.node = node
    walk.best_rank = RANK_WORST
    walk.best = LOST
    walk.server = -1
    walk.first_key = parent.first_key if parent != NULL else -1
    request.walks += 1


cdef void _walk_free(Walk* walk) noexcept nogil:
    cdef Request* request = walk.request
    slice_drop(&walk.best_reply)
    if not walk.is_embedded:
        walk.spare = request.plan.engine.spare_walks
        request.plan.engine.spare_walks = walk
    request_walk_ended(request)


cdef const uint8_t* walk_key(Walk* walk, size_t* size) noexcept nogil:
    cdef Request* request = walk.request
    cdef const uint8_t* data = request.block.data + request.offset
    if walk.first_key >= 0:
        size[0] = request.keys[walk.first_key].size
        return data + request.keys[walk.first_key].offset
    size[0] = request.view.key_size
    return data + request.view.key_offset


# ---- answers that no server gave ----

cdef void _answer_plain(Request* request, const char* line) noexcept nogil:
    """Of meta replies only the miss of a get has no flags."""
    cdef Block* block
    if request.view.command < CMD_META_GET or memcmp(line, <const char*>b"EN", 2) == 0:
        _answer_line(request, line)
        return
    block = meta_reply(request, line)
    if block == NULL:
        _answer_line(request, line)
        return
    request_answer(request, Slice(block, 0, block.fill))
    block_drop(block)


cdef void _answer_line(Request* request, const char* line) noexcept nogil:
    request_answer_text(request, line, strlen(line))


# ---- starting ----

cdef int _switch_prefix(PlanTable* plan, PlanNode* node, const uint8_t* key, size_t size) noexcept nogil:
    """The child of the longest prefix; prefixes are sorted by falling length."""
    cdef int i
    cdef Text* prefix
    for i in range(node.child_count - 1):
        prefix = &plan.texts[node.prefixes + i]
        if prefix.size <= size and memcmp(key, prefix.data, prefix.size) == 0:
            return plan.children[node.children + i]
    return plan.children[node.children + node.child_count - 1]


cdef int _resolve(Request* request, int node, const uint8_t* key, size_t size) noexcept nogil:
    """Goes through switches, which need no walk of their own."""
    cdef PlanTable* plan = request.plan
    while True:
        if plan.nodes[node].kind == NODE_SWITCH_COMMAND:
            node = plan.children[plan.nodes[node].children + request.group]
        elif plan.nodes[node].kind == NODE_SWITCH_PREFIX:
            node = _switch_prefix(plan, &plan.nodes[node], key, size)
        else:
            return node


cdef Server* _server_of(Request* request, PlanNode* node, const uint8_t* key, size_t size) noexcept nogil:
    """The server of the node's rank for the key; NULL when the pool has fewer servers."""
    cdef PlanPool* pool = &request.plan.pools[node.pool]
    cdef int[COPIES_MAX] owners
    cdef int index
    if pool.size == 1:
        index = 0 if node.rank == 0 else -1
    elif node.rank == 0:
        index = ring_owner(pool.ring, key, size, NULL)
    elif ring_owners(pool.ring, key, size, NULL, node.rank + 1, owners) > node.rank:
        index = owners[node.rank]
    else:
        index = -1
    return request.plan.engine.servers[pool.server_ids[index]] if index >= 0 else NULL


cdef Link* _link_of(Server* server, const uint8_t* key, size_t size) noexcept nogil:
    """A key has one link, whoever asks: on two, a request could overtake an earlier one that timed out."""
    if server == NULL or server.link_count <= 1:
        return server.links[0] if server != NULL else NULL
    return server.links[hash_murmur3_32(key, size, LINK_SEED) % <uint32_t>server.link_count]


cdef void _ask(Walk* walk, Server* server, Link* link) noexcept nogil:
    cdef int reason = EJECTED
    walk.server = server.id if server != NULL else -1
    if server != NULL and server.state == SERVER_UP and link_takes(link, &reason):
        server.requests += 1
        if send_request(link, walk):
            return
        # Part of a request may stand in the link's output: nothing can follow it.
        conn_break(&link.conn)
        reason = LOST
    walk_end(walk, reason, NOTHING)


cdef void _run(Walk* walk) noexcept nogil:
    cdef Request* request = walk.request
    cdef PlanNode* node
    cdef Server* server
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    walk.node = _resolve(request, walk.node, key, size)
    node = &request.plan.nodes[walk.node]
    if node.kind == NODE_ASK:
        walk.tags_cas = node.tags_cas
        server = _server_of(request, node, key, size)
        _ask(walk, server, _link_of(server, key, size))
    elif node.kind == NODE_FIRST:
        if node.random_start:
            walk.next_child = <int>(_random(request.plan.engine) % <uint64_t>node.child_count)
        _first_next(walk)
    elif node.kind == NODE_ALL:
        _all_start(walk)
    elif node.kind == NODE_THEN:
        _then_start(walk)
    elif node.kind == NODE_DETACH:
        _detach(walk, node)
    elif node.kind == NODE_CONSTANT:
        _constant(walk, node)
    else:
        route_begin(walk)


cdef void _run_child(Walk* walk, int index) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Walk* child = _walk_new(walk.request, walk, walk.request.plan.children[node.children + index])
    if child == NULL:
        _child_ended(walk, 0, OVERLOADED, NOTHING)
        return
    _run(child)


cdef uint64_t _random(Engine* engine) noexcept nogil:
    """xorshift64* (Vigna 2014)."""
    engine.random ^= engine.random >> 12
    engine.random ^= engine.random << 25
    engine.random ^= engine.random >> 27
    return (engine.random * <uint64_t>0x2545F4914F6CDD1D) >> 11


# ---- first ----

cdef void _first_next(Walk* walk) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef int child = walk.next_child % node.child_count
    walk.next_child = child + 1
    walk.children_asked += 1
    _run_child(walk, child)


cdef void _fill_retries(Engine* engine) noexcept nogil:
    cdef PlanTable* plan = engine.plan
    cdef double earned = (plan.retry_share * <double>(engine.requests - engine.retry_counted)
                          + plan.retry_floor * (engine.now - engine.retry_filled_at))
    engine.retry_counted = engine.requests
    engine.retry_filled_at = engine.now
    engine.retry_tokens = min(engine.retry_tokens + earned, <double>RETRIES_MAX)
    if plan.retry_share == 0 and plan.retry_floor == 0:
        engine.retry_tokens = 0


cdef bint _may_retry(Engine* engine, int outcome) noexcept nogil:
    """Only what follows a timeout costs a token: refusals and resets are over, and cost nobody anything."""
    if outcome != TIMEOUT:
        return True
    _fill_retries(engine)
    if engine.retry_tokens < 1:
        return False
    engine.retry_tokens -= 1
    return True


cdef void _hold_if_sent(Walk* walk, int outcome) noexcept nogil:
    # What was never sent goes on in the moment in which it came: nothing has passed it.
    if outcome != EJECTED and outcome != OVERLOADED:
        hold_key(walk)


cdef void _first_child_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Slice best
    _take_if_better(walk, outcome, reply, node.answer_last)
    if outcome >= REFUSED_BY_SERVER or (node.on_miss and outcome == MISS):
        if (walk.children_asked < node.child_count and not walk.request.is_done
                and _may_retry(walk.request.plan.engine, outcome)):
            walk.request.plan.engine.failovers += outcome >= REFUSED_BY_SERVER
            _hold_if_sent(walk, outcome)
            _first_next(walk)
            return
    best = walk.best_reply
    walk_end(walk, walk.best, best)


cdef void _take_if_better(Walk* walk, int outcome, Slice reply, bint always) noexcept nogil:
    cdef int rank = walk.request.plan.merge[walk.request.group][outcome]
    if rank >= walk.best_rank and not always:
        return
    if reply.block != NULL:
        block_keep(reply.block)
    slice_drop(&walk.best_reply)
    walk.best_reply = reply
    walk.best = outcome
    walk.best_rank = rank


# ---- all ----

cdef void _all_start(Walk* walk) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef int count = node.child_count
    cdef int i
    # One more than there are, so that children which end at once do not end the walk before all were asked.
    walk.children_asked = count + 1
    for i in range(count):
        _run_child(walk, i)
    _all_settle(walk)


cdef void _all_settle(Walk* walk) noexcept nogil:
    """One thing less to wait for. The walk answers once, and is freed with the last of its children."""
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Walk* parent = walk.parent
    cdef Slice reply = walk.best_reply
    cdef bint is_last
    walk.children_asked -= 1
    is_last = walk.children_asked == 0
    if walk.cursor == 0 and (is_last or walk.good >= node.need):
        walk.cursor = 1
        if walk.good < node.least and walk.best < REFUSED_BY_SERVER:
            walk.best = LOST
            reply = NOTHING
        _carry(walk, parent, walk.best, reply)
    if is_last:
        _walk_free(walk)


cdef void _all_child_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    walk.good += outcome < REFUSED_BY_SERVER
    if walk.cursor == 0:
        _take_if_better(walk, outcome, reply, False)
    _all_settle(walk)


# ---- then ----

cdef int _child_of_token(Walk* walk, uint64_t token) noexcept nogil:
    """The child whose server gave the token; -1 for a foreign one."""
    cdef PlanTable* plan = walk.request.plan
    cdef PlanNode* node = &plan.nodes[walk.node]
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    cdef Server* server
    cdef int i
    for i in range(node.child_count):
        server = _server_of(walk.request, &plan.nodes[plan.children[node.children + i]], key, size)
        if server != NULL and server.cas_tag == token & ((1 << TAG_BITS) - 1):
            return i
    return -1


cdef void _then_start(Walk* walk) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef uint64_t token = 0
    cdef int child
    if not token_of_request(walk.request, &token):
        _first_next(walk)
        return
    child = _child_of_token(walk, token)
    if child < 0:
        walk_end(walk, EXISTS, NOTHING)
        return
    # No other server knows this token: none is tried after it.
    walk.next_child = child
    walk.children_asked = node.child_count - 1
    _first_next(walk)


cdef bint _has_changed(Request* request, int outcome) noexcept nogil:
    """Whether the other copies hold something else now. A gat changes the lifetime of what it finds."""
    if outcome == HIT:
        return request.group == GROUP_LAST_READ
    return outcome == STORED or outcome == NUMBER or outcome == DELETED or outcome == TOUCHED


cdef void _then_undo_others(Walk* walk) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef int answered = walk.next_child - 1
    cdef Walk* child
    cdef int i
    walk.cursor = 1
    walk.children_asked = node.child_count
    for i in range(node.child_count):
        if i == answered:
            continue
        child = _walk_new(walk.request, walk, walk.request.plan.children[node.children + i])
        if child == NULL:
            walk.children_asked -= 1
            continue
        child.is_undo = True
        _run(child)


cdef void _then_settle(Walk* walk) noexcept nogil:
    walk.children_asked -= 1
    if walk.children_asked == 0:
        walk_end(walk, walk.best, walk.best_reply)


cdef void _then_child_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    if walk.cursor == 1:
        _then_settle(walk)
        return
    _take_if_better(walk, outcome, reply, True)
    if outcome > REFUSED_BY_SERVER and walk.children_asked < node.child_count and not walk.request.is_done:
        if _may_retry(walk.request.plan.engine, outcome):
            walk.request.plan.engine.failovers += 1
            _hold_if_sent(walk, outcome)
            _first_next(walk)
            return
    if not _has_changed(walk.request, outcome):
        walk_end(walk, walk.best, walk.best_reply)
        return
    _then_undo_others(walk)
    # The walk itself was counted as the one that answered.
    _then_settle(walk)


# ---- python ----

cdef void walk_ask_child(Walk* walk, int child, int number) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Walk* asked = _walk_new(walk.request, walk, walk.request.plan.children[node.children + child])
    walk.children_asked += 1
    if number > 0:
        hold_key(walk)
    if asked == NULL:
        _child_ended(walk, number, OVERLOADED, NOTHING)
        return
    asked.number = number
    _run(asked)


cdef void walk_end_early(Walk* walk, int outcome, Slice reply) noexcept nogil:
    """The walk is freed with the last of its children."""
    walk.cursor = 1
    route_ended(walk)
    _carry(walk, walk.parent, outcome, reply)
    if walk.children_asked == 0:
        _walk_free(walk)


cdef void _route_child_ended(Walk* walk, int number, int outcome, Slice reply) noexcept nogil:
    walk.children_asked -= 1
    if walk.cursor == 0:
        route_child_ended(walk, number, outcome, reply)
    elif walk.children_asked == 0:
        _walk_free(walk)


# ---- detach, constant ----

cdef void _detach(Walk* walk, PlanNode* node) noexcept nogil:
    """The answer first; the child then runs as a walk whose outcome nobody takes."""
    cdef Request* request = walk.request
    cdef Walk* child = _walk_new(request, NULL, request.plan.children[node.children])
    cdef Slice nothing = NOTHING
    if child != NULL:
        child.first_key = walk.first_key
        child.is_detached = True
    walk_end(walk, MISS, nothing)
    if child != NULL:
        _run(child)


cdef void _constant(Walk* walk, PlanNode* node) noexcept nogil:
    cdef Text* text
    cdef Block* block
    if node.text < 0:
        walk_end(walk, MISS, NOTHING)
        return
    text = &walk.request.plan.texts[node.text]
    block = block_new(&walk.request.plan.engine.pool, text.size)
    if block == NULL:
        walk_end(walk, LOST, NOTHING)
        return
    memcpy(block.data, text.data, text.size)
    walk_end(walk, REFUSED_BY_SERVER, Slice(block, 0, text.size))
    block_drop(block)


# ---- ending ----

cdef void _child_ended(Walk* walk, int number, int outcome, Slice reply) noexcept nogil:
    cdef int kind = walk.request.plan.nodes[walk.node].kind
    if kind == NODE_ALL:
        _all_child_ended(walk, outcome, reply)
    elif kind == NODE_THEN:
        _then_child_ended(walk, outcome, reply)
    elif kind == NODE_PYTHON:
        _route_child_ended(walk, number, outcome, reply)
    else:
        _first_child_ended(walk, outcome, reply)


cdef void _root_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    cdef Request* request = walk.request
    if walk.is_detached or request.is_done:
        return
    request.outcome = outcome
    if request.keys != NULL:
        _key_ended(request, walk.first_key, outcome, reply)
    elif reply.block != NULL:
        request_answer(request, reply)
    elif outcome < REFUSED_BY_SERVER:
        _answer_plain(request, plain_line(request.view.command, outcome))
    else:
        _answer_line(request, error_line(outcome))


cdef void _carry(Walk* walk, Walk* parent, int outcome, Slice reply) noexcept nogil:
    if parent == NULL:
        _root_ended(walk, outcome, reply)
    else:
        _child_ended(parent, walk.number, outcome, reply)


cdef void _missed(Walk* walk, int outcome) noexcept nogil:
    """A copy that did not confirm a write may hold an older value from now on.

    After a timeout the write still stands on the link, before whatever is asked next. What the link did not
    take, or lost, is missing for good: the server is out of service at once, until it has been put in order.
    """
    cdef Engine* engine = walk.request.plan.engine
    cdef Server* server
    if walk.parent == NULL or walk.request.group <= GROUP_LAST_READ:
        return
    server = engine.servers[walk.server]
    server.missed_writes += 1
    if outcome != TIMEOUT and server.state == SERVER_UP:
        server.state = SERVER_EJECTED
        engine.ejections += 1


cdef void walk_end(Walk* walk, int outcome, Slice reply) noexcept nogil:
    if walk.is_group:
        _group_ended(walk, outcome)
        return
    if outcome > REFUSED_BY_SERVER and walk.server >= 0:
        _missed(walk, outcome)
    # The reply may be the walk's own: it is freed only after the walk above has taken what it wants.
    _carry(walk, walk.parent, outcome, reply)
    _walk_free(walk)


cdef void walk_expire(Request* request) noexcept nogil:
    request.plan.engine.timeouts += 1
    request.outcome = TIMEOUT
    if request.keys != NULL:
        request.failure = TIMEOUT
    _answer_line(request, error_line(TIMEOUT))


# ---- multigets ----

cdef void _key_ended(Request* request, int32_t key, int outcome, Slice reply) noexcept nogil:
    if outcome == HIT and reply.block != NULL:
        # Up to, and without, the END behind the item.
        request.keys[key].item = Slice(reply.block, reply.offset, reply.size - 5)
        block_keep(reply.block)
    elif outcome >= REFUSED_BY_SERVER:
        request.failure = outcome
    _part_ended(request)


cdef void _part_ended(Request* request) noexcept nogil:
    request.groups_open -= 1
    if request.groups_open == 0 and not request.is_done:
        request_answer_joined(request)


cdef void _walk_key(Request* request, int32_t key, int node, int prior) noexcept nogil:
    """Walks one key of a multiget by itself, behind the first child of its node, which came to `prior`."""
    cdef Walk* walk = _walk_new(request, NULL, node)
    request.groups_open += 1
    if walk == NULL:
        request.failure = OVERLOADED
        _part_ended(request)
        return
    walk.first_key = key
    if prior != HIT:
        walk.next_child = 1
        walk.children_asked = 1
        _take_if_better(walk, prior, NOTHING, False)
        _first_next(walk)
    else:
        _run(walk)


cdef void _group_ended(Walk* walk, int outcome) noexcept nogil:
    """A server's part of a multiget is over; keys that another child may have are walked by themselves."""
    cdef Request* request = walk.request
    cdef PlanNode* node = &request.plan.nodes[walk.node]
    cdef int32_t key = walk.first_key
    cdef int32_t following
    cdef bint is_error = outcome >= REFUSED_BY_SERVER
    cdef bint go_on = (node.kind == NODE_FIRST and node.child_count > 1 and not request.is_done
                       and (is_error or node.on_miss) and _may_retry(request.plan.engine, outcome))
    while key >= 0:
        following = request.keys[key].next
        if request.keys[key].item.block == NULL:
            if go_on:
                _walk_key(request, key, walk.node, outcome if is_error else MISS)
            elif is_error:
                request.failure = outcome
        key = following
    _part_ended(request)
    _walk_free(walk)


cdef int _group_node(Request* request, const uint8_t* key, size_t size, PlanNode** ask) noexcept nogil:
    """The node at which the key can be asked together with others, and its ask; -1 when it cannot."""
    cdef PlanTable* plan = request.plan
    cdef int node = _resolve(request, plan.root, key, size)
    ask[0] = &plan.nodes[node]
    if ask[0].kind == NODE_FIRST and not ask[0].random_start:
        ask[0] = &plan.nodes[plan.children[ask[0].children]]
    return node if ask[0].kind == NODE_ASK else -1


cdef void _begin_many(Request* request) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t offset = request.view.key_offset
    cdef uint32_t key_offset = 0
    cdef uint32_t key_size = 0
    cdef uint32_t count = request.view.key_count
    cdef uint32_t i
    cdef int node
    cdef PlanNode* ask
    cdef const uint8_t* key
    cdef Link* link
    cdef Walk* walk
    cdef Walk* groups = NULL
    request.key_block = block_new(&engine.pool, count * sizeof(KeyState))
    if request.key_block == NULL:
        _answer_line(request, b"SERVER_ERROR out of memory\r\n")
        return
    request.keys = <KeyState*>request.key_block.data
    request.key_count = count
    # Held open until every key has been looked at, so that parts which end at once do not end the request.
    request.groups_open = 1
    request.walks += 1
    for i in range(count):
        offset = request_next_key(data, offset, request.view.keys_end, &key_offset, &key_size)
        request.keys[i] = KeyState(key_offset, key_size, -1, NOTHING)
    for i in range(count):
        key = data + request.keys[i].offset
        node = _group_node(request, key, request.keys[i].size, &ask)
        link = NULL
        if node >= 0:
            link = _link_of(_server_of(request, ask, key, request.keys[i].size), key, request.keys[i].size)
        if link == NULL or (link.group != NULL and link.group.node != node):
            _walk_key(request, <int32_t>i, request.plan.root if node < 0 else node, HIT)
            continue
        walk = link.group
        if walk == NULL:
            walk = _walk_new(request, NULL, node)
            if walk == NULL:
                request.failure = OVERLOADED
                continue
            walk.is_group = True
            walk.tags_cas = ask.tags_cas
            walk.first_key = <int32_t>i
            walk.link = link
            # `spare` chains the parts until all are complete.
            walk.spare = groups
            groups = walk
            link.group = walk
            request.groups_open += 1
        else:
            request.keys[walk.cursor].next = <int32_t>i
        walk.cursor = <int32_t>i
    while groups != NULL:
        walk = groups
        groups = walk.spare
        link = walk.link
        link.group = NULL
        walk.link = NULL
        walk.cursor = walk.first_key
        _ask(walk, link.server, link)
    _part_ended(request)
    request_walk_ended(request)


cdef void walks_resume(Engine* engine) noexcept nogil:
    cdef Request* request
    while engine.released != NULL:
        request = engine.released
        engine.released = request.next_waiting
        if not request.is_done:
            walk_begin(request)
        request_walk_ended(request)


cdef void walk_begin(Request* request) noexcept nogil:
    if request.plan.engine.hold_count > 0 and hold_waits(request):
        return
    if request.view.command <= CMD_GATS and request.view.key_count > 1:
        _begin_many(request)
        return
    request.walk.is_embedded = True
    _walk_set(&request.walk, request, NULL, request.plan.root)
    _run(&request.walk)
