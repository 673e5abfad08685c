"""The walk of a request through the nodes of its plan.

A walk is one node at work for one request. `walk_run` starts it, `walk_end` carries its outcome to the walk
above, which asks its next child, waits for more, or ends in turn (see combining.pxd); the topmost's outcome is
the answer. Plans have no cycles and few levels, so the recursion is as deep as the plan.
"""

from libc.stdlib cimport malloc
from libc.string cimport memset, strlen

from mcroute._engine.alarms cimport server_missed
from mcroute._engine.blocks cimport Block, block_unref, slice_unref
from mcroute._engine.counters cimport counter_add
from mcroute._engine.dirty cimport conn_break
from mcroute._engine.faults cimport ERROR_LINE_MAX, request_set_culprit, request_error_line
from mcroute._engine.lines cimport plain_line
from mcroute._engine.link_output cimport send_request
from mcroute._engine.links cimport link_takes
from mcroute._engine.meta cimport meta_reply
from mcroute._engine.prefixes cimport prefixes_find
from mcroute._engine.refill_spoils cimport refills_spoil
from mcroute._engine.requests cimport request_walk_ended
from mcroute._engine.session_output cimport request_answer, request_answer_line, request_answer_text
from mcroute._engine.state cimport (
    COPIES_MAX, EJECTED, GROUP_DELETE, GROUP_LAST_READ, LOST, NODE_ASK, NODE_SWITCH_COMMAND,
    NODE_SWITCH_PREFIX, OVERLOADED, REFUSED_BY_SERVER, TIMEOUT, UNDO, Engine, PlanPool, PlanTable, walk_is_copied,
    walk_key,
)
from mcroute._engine.server_words cimport SERVER_UP, word_has_others_ghosts, word_state
from mcroute._protocol cimport CMD_META_GET
from mcroute._protocol.literals cimport text_begins
from mcroute._ring cimport ring_owner, ring_owners

cdef enum:
    RANK_WORST = 255


cdef Slice NOTHING = Slice(NULL, 0, 0)


# ---- a walk's life ----

cdef Walk* walk_new(ClientRequest* request, Walk* parent, int node) noexcept nogil:
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


cdef void _walk_set(Walk* walk, ClientRequest* request, Walk* parent, int node) noexcept nogil:
    walk.request = request
    walk.parent = parent
    walk.node = node
    walk.best_rank = RANK_WORST
    walk.best = LOST
    walk.server = -1
    walk.first_key = parent.first_key if parent != NULL else -1
    request.walks += 1


cdef void walk_free(Walk* walk) noexcept nogil:
    cdef ClientRequest* request = walk.request
    slice_unref(&walk.best_reply)
    if not walk.is_embedded:
        walk.spare = request.plan.engine.spare_walks
        request.plan.engine.spare_walks = walk
    request_walk_ended(request)


# ---- the engine's own answers ----

cdef void _answer_plain(ClientRequest* request, const char* line) noexcept nogil:
    """Adds flags to meta replies, except to EN, the miss of a get."""
    cdef Block* block
    if request.view.command < CMD_META_GET or text_begins(<const uint8_t*>line, strlen(line), b"EN"):
        request_answer_line(request, line)
        return
    block = meta_reply(request, line)
    if block == NULL:
        request_answer_line(request, line)
        return
    request_answer(request, Slice(block, 0, block.fill))
    block_unref(block)


cdef void _answer_error(ClientRequest* request, int outcome) noexcept nogil:
    cdef char[ERROR_LINE_MAX] line
    request_answer_text(request, line, request_error_line(request, outcome, line))


# ---- starting ----

cdef int _switch_prefix(PlanTable* plan, PlanNode* node, const uint8_t* key, size_t size) noexcept nogil:
    return plan.children[node.children + prefixes_find(node.prefixes, key, size, node.child_count - 1)]


cdef int walk_resolve(ClientRequest* request, int node, const uint8_t* key, size_t size) noexcept nogil:
    """Goes through switches, which need no walk of their own."""
    cdef PlanTable* plan = request.plan
    while True:
        if plan.nodes[node].kind == NODE_SWITCH_COMMAND:
            node = plan.children[plan.nodes[node].children + request.group]
        elif plan.nodes[node].kind == NODE_SWITCH_PREFIX:
            node = _switch_prefix(plan, &plan.nodes[node], key, size)
        else:
            return node


cdef Server* walk_server(ClientRequest* request, PlanNode* node, const uint8_t* key, size_t size) noexcept nogil:
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


cdef bint _must_avoid(Walk* walk, Server* server) noexcept nogil:
    """Whether to skip the server, because another engine's ghost may follow. A read without another copy is sent."""
    return (walk.request.has_ghosts and word_has_others_ghosts(server.word, server.ghosts)
            and (walk.parent != NULL or walk.is_group or walk.request.group > GROUP_LAST_READ))


cdef bint _can_ask(Walk* walk, Server* server, Link* link, int* reason) noexcept nogil:
    return (server != NULL and word_state(server.word) == SERVER_UP and not _must_avoid(walk, server)
            and link_takes(link, reason))


cdef bint walk_fails(Walk* walk, Server* server, Link* link) noexcept nogil:
    cdef int reason
    return not _can_ask(walk, server, link, &reason)


cdef void walk_ask(Walk* walk, Server* server, Link* link) noexcept nogil:
    cdef int reason = EJECTED
    walk.server = server.id if server != NULL else -1
    if _can_ask(walk, server, link, &reason):
        if send_request(link, walk):
            counter_add(&server.counts.requests, 1)
            if link.conn.engine.refills_reading > 0:
                refills_spoil(walk)
            return
        # Part of the request may be in the link's output: no other request can follow.
        conn_break(&link.conn)
        reason = LOST
    walk_end(walk, reason, NOTHING)


cdef void walk_run(Walk* walk) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef PlanNode* node
    cdef Server* server
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    walk.node = walk_resolve(request, walk.node, key, size)
    node = &request.plan.nodes[walk.node]
    if node.kind == NODE_ASK:
        walk.tags_cas = node.tags_cas
        server = walk_server(request, node, key, size)
        walk_ask(walk, server, walk_link(server, key, size))
    else:
        node.begins(walk, node)


cdef Walk* walk_top(ClientRequest* request, int node) noexcept nogil:
    request.walk.is_embedded = True
    _walk_set(&request.walk, request, NULL, node)
    return &request.walk


cdef void walk_plan(ClientRequest* request) noexcept nogil:
    walk_run(walk_top(request, request.plan.root))


# ---- ending ----

cdef void _root_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    cdef ClientRequest* request = walk.request
    if walk.is_detached or request.is_done:
        return
    request.outcome = outcome
    if request.keys != NULL:
        request.plan.key_ends(walk, outcome, reply)
    elif reply.block != NULL:
        request_answer(request, reply)
    elif outcome < REFUSED_BY_SERVER:
        _answer_plain(request, plain_line(request.view.command, outcome))
    else:
        _answer_error(request, outcome)


cdef void walk_carry(Walk* walk, Walk* parent, int outcome, Slice reply) noexcept nogil:
    if parent == NULL:
        _root_ended(walk, outcome, reply)
    else:
        parent.request.plan.nodes[parent.node].child_ends(parent, walk.number, outcome, reply)


cdef bint _has_missed(Walk* walk, int outcome, Slice reply) noexcept nogil:
    """Whether the copy has missed the write, and may hold an older value. An undo is a delete."""
    cdef int group = GROUP_DELETE if walk.purpose == UNDO else walk.request.group
    if not walk.request.plan.missed[group] >> outcome & 1:
        return False
    # A CLIENT_ERROR is the request's fault, on every copy.
    return outcome != REFUSED_BY_SERVER or (reply.block != NULL and reply.block.data[reply.offset] == b'S')


cdef void walk_end(Walk* walk, int outcome, Slice reply) noexcept nogil:
    if walk.server >= 0:
        counter_add(&walk.request.plan.engine.servers[walk.server].counts.outcomes[outcome], 1)
        if outcome >= REFUSED_BY_SERVER:
            request_set_culprit(walk.request, walk.server, outcome)
    if walk.is_group:
        walk.request.plan.part_ends(walk, outcome, reply)
        return
    if walk.server >= 0 and _has_missed(walk, outcome, reply) and walk_is_copied(walk):
        # A request that was lost may still be executed.
        server_missed(walk.request.plan.engine.servers[walk.server], walk, outcome in (EJECTED, OVERLOADED))
    # The walk may own the reply: free the walk only after the walk above has taken a reference.
    walk_carry(walk, walk.parent, outcome, reply)
    walk_free(walk)


cdef void walk_expire(ClientRequest* request) noexcept nogil:
    counter_add(&request.plan.engine.counts.timeouts, 1)
    request.outcome = TIMEOUT
    if request.keys != NULL:
        request.failure = TIMEOUT
    _answer_error(request, TIMEOUT)
