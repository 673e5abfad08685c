"""Multigets: split by the links that their keys belong to, one get each, and joined in the client's order.

A part is one walk for all of its keys. Keys which cannot share a walk, because their node is no plain ask or their
part failed and another server may have them, are walked one by one.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcmp

from mcroute._engine.answers cimport request_answer_joined, request_answer_text, request_walk_ended
from mcroute._engine.blocks cimport block_keep, block_new
from mcroute._engine.caching cimport prefetch
from mcroute._engine.combining cimport failed_over, first_go_on, may_retry
from mcroute._engine.state cimport (
    HIT, MISS, NODE_ASK, NODE_FIRST, NODE_SWITCH_COMMAND, NODE_SWITCH_PREFIX, OVERLOADED,
    REFUSED_BY_SERVER, KeyState, Link, PlanNode, PlanTable,
)
from mcroute._protocol cimport request_next_key
from mcroute._engine.walks cimport (
    walk_ask, walk_free, walk_link, walk_new, walk_resolve, walk_run, walk_server,
)

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef inline void _keep_item(KeyState* state, Slice item) noexcept nogil:
    block_keep(item.block)
    state.block = item.block
    state.item_offset = <uint32_t>item.offset
    state.item_size = <uint32_t>item.size


cdef bint multiget_item(Walk* walk, const uint8_t* key, size_t size, Slice item) noexcept nogil:
    """Replies keep the order of the keys, misses left out."""
    cdef Request* request = walk.request
    cdef const uint8_t* asked = request.block.data + request.offset
    cdef KeyState* state
    while walk.cursor >= 0:
        state = &request.keys[walk.cursor]
        walk.cursor = state.next
        # Between request and reply the other processes had the cache.
        prefetch(&request.keys[walk.cursor])
        if state.size == size and memcmp(key, asked + state.offset, size) == 0:
            _keep_item(state, item)
            walk.absent -= 1
            return True
    return False


cdef void multiget_key_ended(Request* request, int32_t key, int outcome, Slice reply) noexcept nogil:
    if outcome == HIT and reply.block != NULL:
        # Up to, and without, the END behind the item.
        _keep_item(&request.keys[key], Slice(reply.block, reply.offset, reply.size - 5))
    elif outcome >= REFUSED_BY_SERVER:
        request.failure = outcome
    _part_ended(request)


cdef void _part_ended(Request* request) noexcept nogil:
    request.groups_open -= 1
    if request.groups_open == 0 and not request.is_done:
        request_answer_joined(request)


cdef void _walk_key(Request* request, int32_t key, int node, int prior) noexcept nogil:
    """Walks one key of a multiget by itself, behind the first child of its node, which came to `prior`."""
    cdef Walk* walk = walk_new(request, NULL, node)
    request.groups_open += 1
    if walk == NULL:
        request.failure = OVERLOADED
        _part_ended(request)
        return
    walk.first_key = key
    if prior != HIT:
        first_go_on(walk, prior)
    else:
        walk_run(walk)


cdef bint _is_switch(PlanNode* node) noexcept nogil:
    return node.kind == NODE_SWITCH_PREFIX or node.kind == NODE_SWITCH_COMMAND


cdef int _key_node(Request* request, int node, const KeyState* state) noexcept nogil:
    """Behind the switches, which only some plans have."""
    if not _is_switch(&request.plan.nodes[node]):
        return node
    return walk_resolve(request, node, request.block.data + request.offset + state.offset, state.size)


cdef bint _has_another(Request* request, int node, bint is_error) noexcept nogil:
    """Whether the node has another child for a key after an error, or a miss."""
    cdef PlanNode* first = &request.plan.nodes[node]
    return (first.kind == NODE_FIRST and first.child_count > 1 and not request.is_done
            and (is_error or first.on_miss))


cdef void _go_on(Walk* part, int outcome) noexcept nogil:
    """Keys without an item that another child may have are walked by themselves."""
    cdef Request* request = part.request
    cdef int32_t key = part.first_key
    cdef int32_t following
    cdef int node
    cdef bint is_error = outcome >= REFUSED_BY_SERVER
    # One retry for all of them: it was one request that failed.
    cdef bint is_decided = False
    cdef bint may_go_on = False
    while key >= 0:
        following = request.keys[key].next
        if request.keys[key].block == NULL:
            node = _key_node(request, request.plan.root, &request.keys[key])
            if not is_decided and _has_another(request, node, is_error):
                is_decided = True
                may_go_on = may_retry(request.plan.engine, outcome)
                if may_go_on and is_error:
                    failed_over(request.plan.engine, outcome)
            if may_go_on and _has_another(request, node, is_error):
                _walk_key(request, key, node, outcome if is_error else MISS)
            elif is_error:
                request.failure = outcome
        key = following


cdef void multiget_part_ended(Walk* walk, int outcome) noexcept nogil:
    cdef Request* request = walk.request
    if walk.absent > 0:
        _go_on(walk, outcome)
    _part_ended(request)
    walk_free(walk)


# ---- beginning ----

cdef PlanNode* _shared_ask(PlanTable* plan, int node) noexcept nogil:
    """The ask that a key of the node begins with, if it can be asked together with others; else NULL."""
    cdef PlanNode* ask = &plan.nodes[node]
    if ask.kind == NODE_FIRST and not ask.random_start:
        ask = &plan.nodes[plan.children[ask.children]]
    return ask if ask.kind == NODE_ASK else NULL


cdef bint _lay_out_keys(Request* request) noexcept nogil:
    cdef const uint8_t* data = request.block.data + request.offset
    cdef uint32_t at = request.view.key_offset
    cdef uint32_t count = request.view.key_count
    cdef KeyState* state
    cdef uint32_t i
    request.key_block = block_new(&request.plan.engine.pool, count * sizeof(KeyState))
    if request.key_block == NULL:
        return False
    request.keys = <KeyState*>request.key_block.data
    request.key_count = count
    for i in range(count):
        state = &request.keys[i]
        at = request_next_key(data, at, request.view.keys_end, &state.offset, &state.size)
        state.block = NULL
        state.next = -1
    return True


cdef Walk* _new_part(Request* request, Link* link, PlanNode* ask, Walk** parts) noexcept nogil:
    cdef Walk* part = walk_new(request, NULL, request.plan.root)
    if part == NULL:
        return NULL
    part.is_group = True
    part.tags_cas = ask.tags_cas
    part.link = link
    # `spare` chains the parts until all are complete.
    part.spare = parts[0]
    parts[0] = part
    link.group = part
    request.groups_open += 1
    return part


cdef void _join(Request* request, int32_t key, int node, Walk** parts) noexcept nogil:
    """Makes the key one of its link's part; by itself where it cannot be."""
    cdef KeyState* state = &request.keys[key]
    cdef const uint8_t* text = request.block.data + request.offset + state.offset
    cdef PlanNode* ask = _shared_ask(request.plan, node)
    cdef Link* link = NULL
    cdef Walk* part
    if ask != NULL:
        link = walk_link(walk_server(request, ask, text, state.size), text, state.size)
    if link == NULL or (link.group != NULL and link.group.tags_cas != ask.tags_cas):
        _walk_key(request, key, node, HIT)
        return
    part = link.group
    if part == NULL:
        part = _new_part(request, link, ask, parts)
        if part == NULL:
            request.failure = OVERLOADED
            return
        part.first_key = key
    else:
        request.keys[part.cursor].next = key
    part.cursor = key
    part.absent += 1


cdef void _ask_parts(Walk* parts) noexcept nogil:
    cdef Walk* part
    cdef Link* link
    while parts != NULL:
        part = parts
        parts = part.spare
        link = part.link
        link.group = NULL
        part.link = NULL
        part.cursor = part.first_key
        walk_ask(part, link.server, link)


cdef void multiget_begin(Request* request) noexcept nogil:
    cdef PlanTable* plan = request.plan
    cdef int root = plan.root
    cdef Walk* parts = NULL
    cdef uint32_t i
    if not _lay_out_keys(request):
        request.outcome = OVERLOADED
        request_answer_text(request, b"SERVER_ERROR out of memory\r\n", 28)
        return
    # Held open until every key has been looked at, so that parts which end at once do not end the request.
    request.groups_open = 1
    request.walks += 1
    if plan.nodes[root].kind == NODE_SWITCH_COMMAND:
        root = plan.children[plan.nodes[root].children + request.group]
    for i in range(request.key_count):
        _join(request, <int32_t>i, _key_node(request, root, &request.keys[i]), &parts)
    _ask_parts(parts)
    _part_ended(request)
    request_walk_ended(request)
