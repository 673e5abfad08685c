# Only for use from Cython: see refill_spoils.pxd.
"""Compares keys of writes with those of the refills that are reading."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from mcroute._engine.refill_list cimport Refill
from mcroute._engine.state cimport (
    GROUP_FLUSH, GROUP_READ_TOUCH, LOOK, NODE_REFILL, UNDO, ClientRequest, walk_key,
)


cdef void refills_spoil(Walk* walk) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef Refill* refill = request.plan.engine.refills.reading
    cdef bint is_about_all = walk.is_group or request.group == GROUP_FLUSH
    cdef size_t size = 0
    cdef const uint8_t* key = walk_key(walk, &size)
    if walk.purpose == LOOK or (request.group < GROUP_READ_TOUCH and walk.purpose != UNDO):
        return
    if request.plan.nodes[walk.node].kind == NODE_REFILL:
        return
    while refill != NULL:
        if is_about_all or (refill.size == size and memcmp(refill.key, key, size) == 0):
            refill.is_spoiled = True
        refill = refill.next
