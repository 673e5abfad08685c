"""Stores with a primary and backups: the first child in service stores, its client is answered, the others follow.

    ASKING     one child after the other, until one has stored the value
    FOLLOWING  the value is sent to the children that were not asked; the walk answers, and stays until they have ended

The value is on its way to each backup, or noted in the backup's journal, before the client is answered. A child that
was asked in vain has missed the store, and is noted, or may execute it late, in its place on the link.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.alarms cimport server_missed
from mcroute._engine.claims cimport claim_expect_release
from mcroute._engine.combining cimport combine_take_if_better, run_child
from mcroute._engine.counters cimport counter_add
from mcroute._engine.holds cimport hold_key, hold_release
from mcroute._engine.requests cimport request_is_over
from mcroute._engine.retries cimport failed_over, may_retry
from mcroute._engine.state cimport CARRY_OUT, REFUSED_BY_SERVER, STORED, PlanTable, Server, walk_key
from mcroute._engine.undo cimport UNDONE, undo_bit, undo_children
from mcroute._engine.walks cimport walk_ask, walk_carry, walk_end, walk_free, walk_link, walk_new, walk_server

cdef enum:                      # Walk.cursor
    ASKING = 0
    FOLLOWING


cdef void backup_begins(Walk* walk, PlanNode* node) noexcept nogil:
    # Later requests for the key wait until the value is on its way to the backups, which would execute it after them.
    hold_key(walk.request)
    _ask_next(walk)


cdef void _ask_next(Walk* walk) noexcept nogil:
    cdef int child = walk.next_child
    walk.next_child = child + 1
    walk.children_asked += 1
    run_child(walk, child, CARRY_OUT)


cdef void backup_child_ends(Walk* walk, int child, int outcome, Slice reply) noexcept nogil:
    if walk.cursor == FOLLOWING:
        _followed(walk, child, outcome)
        return
    combine_take_if_better(walk, outcome, reply, False)
    if outcome == STORED:
        _follow(walk)
    elif outcome > REFUSED_BY_SERVER and _goes_on(walk, outcome):
        _ask_next(walk)
    else:
        walk_end(walk, walk.best, walk.best_reply)


cdef bint _goes_on(Walk* walk, int outcome) noexcept nogil:
    if (walk.children_asked >= walk.request.plan.nodes[walk.node].child_count or request_is_over(walk.request)
            or not may_retry(walk.request.plan.engine, outcome)):
        return False
    failed_over(walk.request.plan.engine, outcome)
    return True


# ---- the backups ----

cdef void _follow(Walk* walk) noexcept nogil:
    cdef int count = walk.request.plan.nodes[walk.node].child_count
    cdef int i
    walk.cursor = FOLLOWING
    # One more than there are, so that children that end at once do not free the walk.
    walk.children_asked = 1
    for i in range(walk.next_child, count):
        _copy(walk, i)
    if walk.request.hold != NULL:
        hold_release(walk.request)
    walk_carry(walk, walk.parent, walk.best, walk.best_reply)
    walk.children_asked -= 1
    _free_if_over(walk)


cdef Server* _server(Walk* walk, int child) noexcept nogil:
    cdef PlanTable* plan = walk.request.plan
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    return walk_server(walk.request, &plan.nodes[plan.children[plan.nodes[walk.node].children + child]], key, size)


cdef void _copy(Walk* walk, int child) noexcept nogil:
    cdef PlanTable* plan = walk.request.plan
    cdef Server* server = _server(walk, child)
    cdef Walk* copy
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    if server == NULL:
        return
    copy = walk_new(walk.request, walk, plan.children[plan.nodes[walk.node].children + child])
    if copy == NULL:
        server_missed(server, walk, True)
        return
    copy.number = child
    copy.purpose = CARRY_OUT
    copy.tags_cas = plan.nodes[copy.node].tags_cas
    walk.children_asked += 1
    counter_add(&server.counts.copies_begun, 1)
    walk_ask(copy, server, walk_link(server, key, size))


cdef void _followed(Walk* walk, int child, int outcome) noexcept nogil:
    cdef Server* server
    if child == UNDONE:
        walk.position -= 1
        _free_if_over(walk)
        return
    claim_expect_release(walk.request)
    server = _server(walk, child)
    counter_add(&server.counts.copies_ended, 1)
    walk.children_asked -= 1
    if outcome == REFUSED_BY_SERVER:
        # It keeps its old value otherwise.
        walk.children_asked += 1
        undo_children(walk, undo_bit(walk, child))
        walk.children_asked -= 1
    _free_if_over(walk)


cdef void _free_if_over(Walk* walk) noexcept nogil:
    if walk.children_asked == 0 and walk.position == 0:
        walk_free(walk)
