"""Multigets: split by the links that their keys belong to, one get each, and joined in the client's order.

A part is one walk for all of its keys. Keys which cannot share a walk, because their node is no plain ask or their
part failed and another server may have them, are walked one by one.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

from mcroute._engine.answers cimport request_answer_joined, request_answer_text, request_walk_ended
from mcroute._engine.blocks cimport block_keep, block_new
from mcroute._engine.combining cimport failed_over, first_go_on, may_retry
from mcroute._engine.state cimport (
    HIT, MISS, NODE_ASK, NODE_FIRST, OVERLOADED, REFUSED_BY_SERVER, Engine, KeyState, Link, PlanNode,
    PlanTable,
)
from mcroute._protocol cimport request_next_key
from mcroute._engine.walks cimport (
    walk_ask, walk_free, walk_link, walk_new, walk_resolve, walk_run, walk_server,
)

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef void multiget_key_ended(Request* request, int32_t key, int outcome, Slice reply) noexcept nogil:
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


cdef bint _has_another(Request* request, int32_t key, bint is_error) noexcept nogil:
    """Whether the plan has another child for the key after an error, or a miss."""
    cdef PlanNode* node = &request.plan.nodes[request.keys[key].node]
    return (node.kind == NODE_FIRST and node.child_count > 1 and not request.is_done
            and (is_error or node.on_miss))


cdef void multiget_part_ended(Walk* walk, int outcome) noexcept nogil:
    """A server's part of a multiget is over; keys that another child may have are walked by themselves."""
    cdef Request* request = walk.request
    cdef int32_t key = walk.first_key
    cdef int32_t following
    cdef bint is_error = outcome >= REFUSED_BY_SERVER
    # One retry for all of them: it was one request that failed.
    cdef bint is_decided = False
    cdef bint may_go_on = False
    while key >= 0:
        following = request.keys[key].next
        if request.keys[key].item.block == NULL:
            if not is_decided and _has_another(request, key, is_error):
                is_decided = True
                may_go_on = may_retry(request.plan.engine, outcome)
                if may_go_on and is_error:
                    failed_over(request.plan.engine, outcome)
            if may_go_on and _has_another(request, key, is_error):
                _walk_key(request, key, request.keys[key].node, outcome if is_error else MISS)
            elif is_error:
                request.failure = outcome
        key = following
    _part_ended(request)
    walk_free(walk)


cdef int _group_node(Request* request, const uint8_t* key, size_t size, PlanNode** ask) noexcept nogil:
    """The node at which the key can be asked together with others, and its ask; -1 when it cannot."""
    cdef PlanTable* plan = request.plan
    cdef int node = walk_resolve(request, plan.root, key, size)
    ask[0] = &plan.nodes[node]
    if ask[0].kind == NODE_FIRST and not ask[0].random_start:
        ask[0] = &plan.nodes[plan.children[ask[0].children]]
    return node if ask[0].kind == NODE_ASK else -1


cdef void multiget_begin(Request* request) noexcept nogil:
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
        request.outcome = OVERLOADED
        request_answer_text(request, b"SERVER_ERROR out of memory\r\n", 28)
        return
    request.keys = <KeyState*>request.key_block.data
    request.key_count = count
    # Held open until every key has been looked at, so that parts which end at once do not end the request.
    request.groups_open = 1
    request.walks += 1
    for i in range(count):
        offset = request_next_key(data, offset, request.view.keys_end, &key_offset, &key_size)
        request.keys[i] = KeyState(key_offset, key_size, -1, -1, NOTHING)
    for i in range(count):
        key = data + request.keys[i].offset
        node = _group_node(request, key, request.keys[i].size, &ask)
        link = NULL
        if node >= 0:
            link = walk_link(walk_server(request, ask, key, request.keys[i].size), key, request.keys[i].size)
        if link == NULL or (link.group != NULL and link.group.tags_cas != ask.tags_cas):
            _walk_key(request, <int32_t>i, request.plan.root if node < 0 else node, HIT)
            continue
        request.keys[i].node = node
        walk = link.group
        if walk == NULL:
            walk = walk_new(request, NULL, node)
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
        walk_ask(walk, link.server, link)
    _part_ended(request)
    request_walk_ended(request)
