"""Deletes a key from a copy that refused a write, or executed one whose client got an error: it must not be read.

The reply waits for the delete. A copy whose delete fails has missed a write, and is ejected as for any missed write
(docs/decisions/0003-missed-write.md).
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.alarms cimport server_missed
from mcroute._engine.state cimport NODE_ASK, UNDO, ClientRequest, PlanNode, PlanTable, Server, walk_key
from mcroute._engine.walks cimport walk_end, walk_new, walk_run, walk_server

cdef enum:
    BITS = 32


cdef uint32_t undo_bit(Walk* walk, int child) noexcept nogil:
    cdef PlanTable* plan = walk.request.plan
    cdef PlanNode* node = &plan.nodes[walk.node]
    if child >= BITS or plan.nodes[plan.children[node.children + child]].kind != NODE_ASK:
        return 0
    return <uint32_t>1 << child


cdef uint32_t undo_bits(Walk* walk) noexcept nogil:
    cdef uint32_t bits = 0
    cdef int i
    for i in range(walk.request.plan.nodes[walk.node].child_count):
        bits |= undo_bit(walk, i)
    return bits


cdef void _miss(Walk* walk, int ask) noexcept nogil:
    """There is no memory for the delete: the copy has missed it."""
    cdef ClientRequest* request = walk.request
    cdef size_t size
    cdef const uint8_t* key = walk_key(walk, &size)
    cdef Server* server = walk_server(request, &request.plan.nodes[ask], key, size)
    if server != NULL:
        server_missed(server, walk, True)


cdef bint undo_children(Walk* walk, uint32_t bits) noexcept nogil:
    cdef PlanTable* plan = walk.request.plan
    cdef PlanNode* node = &plan.nodes[walk.node]
    cdef Walk* child
    cdef int i
    # One more than there are, so that undos that end at once do not end the walk before all have begun.
    walk.position += 1
    for i in range(BITS):
        if not bits >> i & 1:
            continue
        child = walk_new(walk.request, walk, plan.children[node.children + i])
        if child == NULL:
            _miss(walk, plan.children[node.children + i])
            continue
        child.purpose = UNDO
        child.number = UNDONE
        walk.position += 1
        walk_run(child)
    walk.position -= 1
    return walk.position == 0


cdef void undo_ended(Walk* walk) noexcept nogil:
    walk.position -= 1
    if walk.position == 0:
        walk_end(walk, walk.best, walk.best_reply)
