"""What a node makes of its children: one after the other, all at once, one for the others, none waited for."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from mcroute._engine.blocks cimport Block, block_drop, block_keep, block_new, slice_drop
from mcroute._engine.custom cimport route_begin, route_child_ended
from mcroute._engine.holds cimport hold_key
from mcroute._engine.state cimport (
    DELETED, EJECTED, EXISTS, GROUP_LAST_READ, GROUP_READ_TOUCH, HIT, LOST, MISS, NODE_ALL,
    NODE_CONSTANT, NODE_DETACH, NODE_FIRST, NODE_PYTHON, NODE_THEN, NUMBER, OVERLOADED,
    REFUSED_BY_SERVER, RETRIES_MAX, STORED, TIMEOUT, TOUCHED, Engine, PlanNode, PlanTable, Request,
    Server, Text,
)
from mcroute._engine.tokens cimport TAG_BITS, token_of_request
from mcroute._engine.walks cimport (
    walk_carry, walk_end, walk_free, walk_key, walk_new, walk_run, walk_server,
)

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef void combine_start(Walk* walk, PlanNode* node) noexcept nogil:
    if node.kind == NODE_FIRST:
        if node.random_start:
            walk.next_child = <int>(random_number(walk.request.plan.engine) % <uint64_t>node.child_count)
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


cdef void combine_child_ended(Walk* walk, int number, int outcome, Slice reply) noexcept nogil:
    cdef int kind = walk.request.plan.nodes[walk.node].kind
    if kind == NODE_ALL:
        _all_child_ended(walk, outcome, reply)
    elif kind == NODE_THEN:
        _then_child_ended(walk, outcome, reply)
    elif kind == NODE_PYTHON:
        route_child_ended(walk, number, outcome, reply)
    else:
        _first_child_ended(walk, outcome, reply)


cdef void _run_child(Walk* walk, int index) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Walk* child = walk_new(walk.request, walk, walk.request.plan.children[node.children + index])
    if child == NULL:
        combine_child_ended(walk, 0, OVERLOADED, NOTHING)
        return
    walk_run(child)


cdef uint64_t random_number(Engine* engine) noexcept nogil:
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
    cdef double earned = (plan.retry_share * <double>(engine.counts.requests - engine.retry_counted)
                          + plan.retry_floor * (engine.now - engine.retry_filled_at))
    engine.retry_counted = engine.counts.requests
    engine.retry_filled_at = engine.now
    engine.retry_tokens = min(engine.retry_tokens + earned, <double>RETRIES_MAX)
    if plan.retry_share == 0 and plan.retry_floor == 0:
        engine.retry_tokens = 0


cdef bint may_retry(Engine* engine, int outcome) noexcept nogil:
    """Only what follows a timeout costs a token: refusals and resets are over, and cost nobody anything."""
    if outcome != TIMEOUT:
        return True
    _fill_retries(engine)
    if engine.retry_tokens < 1:
        counter_add(&engine.counts.retries_refused, 1)
        return False
    engine.retry_tokens -= 1
    counter_add(&engine.counts.retries, 1)
    return True


cdef bint _is_over(Request* request) noexcept nogil:
    # An answer alone does not end it: what is detached, or slower than the fastest, is carried out too.
    return request.is_done and request.deadline.at <= request.plan.engine.now


cdef void _hold_if_sent(Walk* walk, int outcome) noexcept nogil:
    # What was never sent goes on in the moment in which it came: nothing has passed it.
    if outcome != EJECTED and outcome != OVERLOADED:
        hold_key(walk)


cdef void first_go_on(Walk* walk, int child, int tried, int best) noexcept nogil:
    walk.next_child = child
    walk.children_asked = tried
    _take_if_better(walk, best, NOTHING, False)
    _first_next(walk)


cdef void _first_child_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    _take_if_better(walk, outcome, reply, node.answer_last)
    if outcome >= REFUSED_BY_SERVER or (node.on_miss and outcome == MISS):
        if (walk.children_asked < node.child_count and not _is_over(walk.request)
                and may_retry(walk.request.plan.engine, outcome)):
            if outcome >= REFUSED_BY_SERVER:
                failed_over(walk.request.plan.engine, outcome)
            _hold_if_sent(walk, outcome)
            _first_next(walk)
            return
    walk_end(walk, walk.best, walk.best_reply)


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
            walk.best = walk.failure
            reply = NOTHING
        walk_carry(walk, parent, walk.best, reply)
    if is_last:
        walk_free(walk)


cdef void _all_child_ended(Walk* walk, int outcome, Slice reply) noexcept nogil:
    walk.good += outcome < REFUSED_BY_SERVER
    if outcome >= REFUSED_BY_SERVER:
        walk.failure = outcome
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
        server = walk_server(walk.request, &plan.nodes[plan.children[node.children + i]], key, size)
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
        return request.group == GROUP_READ_TOUCH
    if outcome == TIMEOUT:
        # It may be executed yet, and be read: the others must not bring back what was before.
        return request.group > GROUP_LAST_READ
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
        child = walk_new(walk.request, walk, walk.request.plan.children[node.children + i])
        if child == NULL:
            walk.children_asked -= 1
            continue
        child.is_undo = True
        walk_run(child)


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
    if outcome > REFUSED_BY_SERVER and walk.children_asked < node.child_count and not _is_over(walk.request):
        if may_retry(walk.request.plan.engine, outcome):
            failed_over(walk.request.plan.engine, outcome)
            _hold_if_sent(walk, outcome)
            _first_next(walk)
            return
    if not _has_changed(walk.request, outcome):
        walk_end(walk, walk.best, walk.best_reply)
        return
    _then_undo_others(walk)
    # The walk itself was counted as the one that answered.
    _then_settle(walk)


# ---- detach, constant ----

cdef void _detach(Walk* walk, PlanNode* node) noexcept nogil:
    """The answer first; the child then runs as a walk whose outcome nobody takes."""
    cdef Request* request = walk.request
    cdef Walk* child = walk_new(request, NULL, request.plan.children[node.children])
    if child != NULL:
        child.first_key = walk.first_key
        child.is_detached = True
    walk_end(walk, MISS, NOTHING)
    if child != NULL:
        walk_run(child)


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
    block.fill = text.size
    walk_end(walk, REFUSED_BY_SERVER, Slice(block, 0, text.size))
    block_drop(block)
