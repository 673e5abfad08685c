"""Finds the reads that are due for a hedge, on links in the order of their requests."""

from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

from mcroute._engine.combining cimport first_hedge
from mcroute._engine.hedged_gets cimport part_hedge
from mcroute._engine.links cimport link_expected, link_silent_since
from mcroute._engine.requests cimport request_is_over
from mcroute._engine.retries cimport hedge_is_refused, hedges_sent
from mcroute._engine.state cimport (
    CARRY_OUT, GROUP_READ, NODE_ASK, NODE_FIRST, ClientRequest, Engine, PlanNode, PlanPool, PlanTable, Server, Walk,
    walk_key,
)
from mcroute._engine.server_words cimport SERVER_UP, word_state
from mcroute._engine.walks cimport walk_fails, walk_link, walk_server

cdef enum:
    STALLED = 3                 # multiples of hedge_after without a reply


# ---- is the server stalled? ----

cdef bint _has_answered(Server* server, double since) noexcept nogil:
    cdef int i
    for i in range(server.link_count):
        if server.links[i].progress_at > since:
            return True
    return False


cdef bint _has_another_answered(const PlanPool* pool, Server* server, double since) noexcept nogil:
    """Whether another server in service of a pool of the server has answered; False for other servers' pools."""
    cdef Engine* engine = server.links[0].conn.engine
    cdef Server* other
    cdef bint is_in = False
    cdef bint has_answered = False
    cdef int i
    for i in range(pool.size):
        other = engine.servers[pool.server_ids[i]]
        if other == server:
            is_in = True
        elif not has_answered:
            has_answered = word_state(other.word) == SERVER_UP and _has_answered(other, since)
    return is_in and has_answered


cdef bint _is_stalled(Link* link, double now) noexcept nogil:
    cdef double since = link_silent_since(link)
    cdef PlanTable* plan = link.conn.engine.plan
    cdef int i
    if since + STALLED * link.server.hedge_after > now or _has_answered(link.server, since):
        return False
    for i in range(plan.pool_count):
        if plan.pools[i].size > 1 and _has_another_answered(&plan.pools[i], link.server, since):
            return True
    return False


# ---- hedges ----

cdef int _next_child(Walk* first, Walk* child) noexcept nogil:
    """The next child whose server can be asked; -1 if there is none. Skips the others for good."""
    cdef PlanTable* plan = first.request.plan
    cdef PlanNode* node = &plan.nodes[first.node]
    cdef PlanNode* ask
    cdef int skipped, index
    cdef size_t size
    cdef const uint8_t* key = walk_key(child, &size)
    cdef Server* server
    for skipped in range(node.child_count - first.children_asked):
        index = (first.next_child + skipped) % node.child_count
        ask = &plan.nodes[plan.children[node.children + index]]
        if ask.kind != NODE_ASK:
            return -1
        server = walk_server(first.request, ask, key, size)
        if not walk_fails(child, server, walk_link(server, key, size)):
            first.children_asked += skipped
            return index
    return -1


cdef void _hedge(Walk* walk, Server* server, bint is_free) noexcept nogil:
    cdef Walk* first = walk.parent
    cdef Engine* engine = walk.request.plan.engine
    cdef PlanNode* node
    cdef int child
    if first == NULL or first.failure != 0 or walk.purpose != CARRY_OUT:
        return
    node = &walk.request.plan.nodes[first.node]
    if node.kind != NODE_FIRST or not node.hedges or request_is_over(walk.request):
        return
    child = _next_child(first, walk)
    if child < 0 or (not is_free and hedge_is_refused(engine)):
        return
    hedges_sent(engine, server, 1, is_free)
    first_hedge(first, child)


cdef void _hedge_any(Walk* walk, Server* server, bint is_free) noexcept nogil:
    cdef ClientRequest* request = walk.request
    if request.group != GROUP_READ or request.is_done or walk.is_detached:
        return
    if walk.is_group:
        part_hedge(walk, server, is_free)
    else:
        _hedge(walk, server, is_free)


cdef inline uint32_t _place(const Link* link) noexcept nogil:
    """The place of the next request that may be hedged."""
    cdef int32_t ahead = <int32_t>(link.hedge_next - link.head)
    return <uint32_t>ahead if ahead > 0 else 0


cdef void link_hedge(Link* link, double now) noexcept nogil:
    cdef uint32_t place
    cdef bint was_stalled = link.is_stalled
    cdef double after = link.server.hedge_after
    cdef Walk* walk
    link.is_stalled = link.count > 0 and _is_stalled(link, now)
    # Reads that the budget refused are free now.
    place = _place(link) if was_stalled or not link.is_stalled else 0
    while place < link.count and (link.is_stalled or link_expected(link, place).sent_at + after <= now):
        walk = link_expected(link, place).walk
        place += 1
        if walk != NULL:
            _hedge_any(walk, link.server, link.is_stalled)
    link.hedge_next = link.head + place


cdef double link_hedge_due(Link* link, double now) noexcept nogil:
    cdef uint32_t place = _place(link)
    cdef double due = INFINITY
    cdef double stalled_at = link_silent_since(link) + STALLED * link.server.hedge_after
    if place < link.count:
        due = link_expected(link, place).sent_at + link.server.hedge_after
    return min(due, stalled_at) if stalled_at > now else due
