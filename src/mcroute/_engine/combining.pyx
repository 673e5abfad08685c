"""Nodes combine the outcomes of their children: one after the other, all at once, or without waiting.

The node for commands that must not run twice has a module of its own, once.pyx.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from mcroute._engine.blocks cimport Block, block_unref, block_ref, block_new, slice_unref
from mcroute._engine.chance cimport random_number
from mcroute._engine.claims cimport claim_expect_release
from mcroute._engine.counters cimport counter_add
from mcroute._engine.holds cimport hold_key
from mcroute._engine.refill_wishes cimport refill_is_fresh, refill_wish_children
from mcroute._engine.requests cimport request_is_over
from mcroute._engine.retries cimport failed_over, may_retry
from mcroute._engine.state cimport (
    CARRY_OUT, EJECTED, GROUP_DELETE, GROUP_FLUSH, GROUP_LAST_READ, HIT, LOST, MISS, OVERLOADED, REFUSED_BY_SERVER,
    TIMEOUT, ClientRequest, Engine, PlanNode, Text, walk_key,
)
from mcroute._engine.standins cimport standin_takes
from mcroute._engine.undo cimport UNDONE, undo_bit, undo_children, undo_ended
from mcroute._engine.walks cimport walk_carry, walk_end, walk_free, walk_new, walk_run

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef void run_child(Walk* walk, int index, int purpose) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Walk* child = walk_new(walk.request, walk, walk.request.plan.children[node.children + index])
    if child == NULL:
        node.child_ends(walk, index, OVERLOADED, NOTHING)
        return
    child.number = index
    child.purpose = <uint8_t>purpose
    walk_run(child)


cdef bint _refuses_alone(Walk* walk, int outcome) noexcept nogil:
    """Whether the copy keeps its old value by the refusal. A refused delete is a missed write, see walk_end."""
    return (outcome == REFUSED_BY_SERVER and walk.request.group > GROUP_LAST_READ
            and walk.request.group != GROUP_DELETE and walk.request.group != GROUP_FLUSH)


# ---- first ----

cdef void first_begins(Walk* walk, PlanNode* node) noexcept nogil:
    if node.random_start:
        walk.next_child = <int>(random_number(walk.request.plan.engine) % <uint64_t>node.child_count)
    _first_next(walk)


cdef void _first_next(Walk* walk) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef int child = walk.next_child % node.child_count
    walk.next_child = child + 1
    walk.children_asked += 1
    if node.is_gutter and child > 0 and not _may_stand_in(walk, node, child):
        counter_add(&walk.request.plan.engine.counts.standins_refused, 1)
        first_child_ends(walk, child, EJECTED, NOTHING)
        return
    run_child(walk, child, CARRY_OUT)


cdef void first_hedge(Walk* walk, int child) noexcept nogil:
    walk.good += 1
    walk.failure = <uint8_t>(child + 1)
    walk.next_child = child
    _first_next(walk)


cdef bint _hedged_child_ends(Walk* walk, PlanNode* node, int child, int outcome, Slice reply) noexcept nogil:
    """Whether the child's end was dealt with. False: no other child runs, and what follows is as without a hedge.

    The walk answers with the first good outcome, and is freed with its last child: a late reply is still evidence.
    """
    cdef Walk* parent = walk.parent
    walk.good -= 1
    if walk.cursor == 1:
        if walk.good < 0:
            walk_free(walk)
        return True
    if child + 1 == walk.failure and outcome == HIT:
        counter_add(&walk.request.plan.engine.counts.hedges_won, 1)
    if walk.good < 0:
        walk.good = 0
        walk.failure = 0
        return False
    if not _is_good_enough(node, outcome):
        combine_take_if_better(walk, outcome, reply, node.answer_last)
        return True
    walk.cursor = 1
    # No more children are asked, and the parent may end before the walk.
    walk.children_asked = node.child_count
    walk.parent = NULL
    walk_carry(walk, parent, outcome, reply)
    return True


cdef bint _may_stand_in(Walk* walk, PlanNode* node, int child) noexcept nogil:
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    return standin_takes(walk.request, node, child, key, size)


cdef void hold_if_sent(Walk* walk, int outcome) noexcept nogil:
    # A request that was not sent goes on at once: no later request has overtaken it.
    if outcome != EJECTED and outcome != OVERLOADED:
        hold_key(walk.request)


cdef uint32_t first_children_before(const PlanNode* node, int child, int tried) noexcept nogil:
    cdef uint32_t bits = 0
    cdef int i
    for i in range(1, tried + 1):
        bits |= <uint32_t>1 << ((child + node.child_count - i) % node.child_count)
    return bits


cdef void first_ask_next(Walk* walk, int child, int tried, int best) noexcept nogil:
    walk.next_child = child
    walk.children_asked = tried
    if walk.request.plan.nodes[walk.node].refills and best == MISS:
        walk.missed = <uint8_t>first_children_before(&walk.request.plan.nodes[walk.node], child, tried)
    combine_take_if_better(walk, best, NOTHING, False)
    _first_next(walk)


cdef bint _is_good_enough(PlanNode* node, int outcome) noexcept nogil:
    return outcome < REFUSED_BY_SERVER and not (node.on_miss and outcome == MISS)


cdef void _wish_refill(Walk* walk, int child, Slice reply) noexcept nogil:
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    if refill_is_fresh(walk.request, reply):
        refill_wish_children(walk.request, walk.node, walk.missed, child, key, size)


cdef void first_child_ends(Walk* walk, int child, int outcome, Slice reply) noexcept nogil:
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Engine* engine = walk.request.plan.engine
    if child == UNDONE:
        undo_ended(walk)
        return
    if walk.failure != 0 and _hedged_child_ends(walk, node, child, outcome, reply):
        return
    combine_take_if_better(walk, outcome, reply, node.answer_last)
    if _refuses_alone(walk, outcome):
        walk.absent |= undo_bit(walk, child)
    if (not _is_good_enough(node, outcome) and not (outcome == TIMEOUT and node.stops_late)
            and walk.children_asked < node.child_count and not request_is_over(walk.request)
            and may_retry(engine, outcome)):
        if outcome >= REFUSED_BY_SERVER:
            failed_over(engine, outcome)
        hold_if_sent(walk, outcome)
        if node.refills and outcome == MISS:
            walk.missed |= <uint8_t>(1 << child)
        _first_next(walk)
        return
    if walk.missed != 0 and outcome == HIT:
        _wish_refill(walk, child, reply)
    if outcome >= REFUSED_BY_SERVER or walk.absent == 0 or undo_children(walk, walk.absent):
        walk_end(walk, walk.best, walk.best_reply)


cdef void combine_take_if_better(Walk* walk, int outcome, Slice reply, bint always) noexcept nogil:
    cdef int rank = walk.request.plan.merge[walk.request.group][outcome]
    if rank >= walk.best_rank and not always:
        return
    if reply.block != NULL:
        block_ref(reply.block)
    slice_unref(&walk.best_reply)
    walk.best_reply = reply
    walk.best = outcome
    walk.best_rank = rank


# ---- all ----

cdef void all_begins(Walk* walk, PlanNode* node) noexcept nogil:
    cdef int count = node.child_count
    cdef int i
    # One more than there are, so that children that end at once do not end the walk before all were asked.
    walk.children_asked = count + 1
    for i in range(count):
        run_child(walk, i, CARRY_OUT)
    _all_settle(walk)


cdef void _all_settle(Walk* walk) noexcept nogil:
    """Counts an ended child. Copies that refused a write of another copy lose the key before the answer."""
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef uint32_t refused = walk.absent
    walk.children_asked -= 1
    if refused != 0 and walk.good > 0 and (walk.children_asked == 0 or walk.good >= node.need):
        walk.absent = 0
        undo_children(walk, refused)
    _all_conclude(walk)


cdef void _all_conclude(Walk* walk) noexcept nogil:
    """The walk answers once, and is freed with the last of its children."""
    cdef PlanNode* node = &walk.request.plan.nodes[walk.node]
    cdef Walk* parent = walk.parent
    cdef Slice reply = walk.best_reply
    cdef bint is_last = walk.children_asked == 0 and walk.position == 0
    if walk.cursor == 0 and (is_last or (walk.good >= node.need and walk.position == 0)):
        walk.cursor = 1
        if walk.good < node.least and walk.best < REFUSED_BY_SERVER:
            walk.best = walk.failure
            reply = NOTHING
        walk_carry(walk, parent, walk.best, reply)
    if is_last:
        walk_free(walk)


cdef void all_child_ends(Walk* walk, int child, int outcome, Slice reply) noexcept nogil:
    if child == UNDONE:
        walk.position -= 1
        _all_conclude(walk)
        return
    claim_expect_release(walk.request)
    walk.good += outcome < REFUSED_BY_SERVER
    if outcome >= REFUSED_BY_SERVER:
        walk.failure = outcome
    if _refuses_alone(walk, outcome):
        walk.absent |= undo_bit(walk, child)
    if walk.cursor == 0:
        combine_take_if_better(walk, outcome, reply, False)
    _all_settle(walk)


# ---- detach, constant ----

cdef void detach_begins(Walk* walk, PlanNode* node) noexcept nogil:
    """Answers first; the child then runs as a walk whose outcome is discarded."""
    cdef ClientRequest* request = walk.request
    cdef Walk* child = walk_new(request, NULL, request.plan.children[node.children])
    if child != NULL:
        child.first_key = walk.first_key
        child.is_detached = True
    walk_end(walk, MISS, NOTHING)
    if child != NULL:
        walk_run(child)


cdef void constant_begins(Walk* walk, PlanNode* node) noexcept nogil:
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
    block_unref(block)
