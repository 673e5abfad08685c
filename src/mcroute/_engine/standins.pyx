"""Stand-ins are asked for a key unless they may hold a value that is older than that of the key's own servers."""

from mcroute._engine.counters cimport counter_add
from mcroute._engine.groups cimport request_may_store
from mcroute._engine.state cimport GROUP_DELETE, NODE_ASK, Engine, PlanTable, Server
from mcroute._engine.taken cimport OWNERS_MAX, TAKEN_ALLOWED, TAKEN_ANNOUNCE, Owners, taken_ask
from mcroute._engine.walks cimport walk_resolve, walk_server
from mcroute._protocol cimport REQ_BASE64

cdef enum:
    SLACK_S = 5                 # by which memcached's clock, and a request, may be late

cdef struct Servers:            # of a key, below some nodes
    (Server*)[OWNERS_MAX] items
    int count                   # OWNERS_MAX + 1: too many


cdef void _add(Servers* servers, Server* server) noexcept nogil:
    cdef int i
    for i in range(min(servers.count, <int>OWNERS_MAX)):
        if servers.items[i] == server:
            return
    if servers.count < OWNERS_MAX:
        servers.items[servers.count] = server
    servers.count = min(servers.count + 1, <int>OWNERS_MAX + 1)


cdef void _find(ClientRequest* request, int index, const uint8_t* key, size_t size, Servers* found) noexcept nogil:
    """Adds the key's servers below the node."""
    cdef PlanTable* plan = request.plan
    cdef PlanNode* node = &plan.nodes[walk_resolve(request, index, key, size)]
    cdef Server* server
    cdef int i
    if node.kind != NODE_ASK:
        for i in range(node.child_count):
            _find(request, plan.children[node.children + i], key, size, found)
        return
    server = walk_server(request, node, key, size)
    if server != NULL:
        _add(found, server)


cdef void _find_owners(
    ClientRequest* request, PlanNode* gutter, int child, const uint8_t* key, size_t size, Owners* owners
) noexcept nogil:
    """The servers that the child stands in for."""
    cdef Servers found
    cdef int i
    found.count = 0
    for i in range(child):
        _find(request, request.plan.children[gutter.children + i], key, size, &found)
    owners.count = found.count if found.count <= OWNERS_MAX else 0
    for i in range(owners.count):
        owners.words[i] = found.items[i].word


cdef double _gone_at(Engine* engine, PlanTable* plan) noexcept nogil:
    """The time when an item that is sent now has expired for certain, even if the server is late with it.

    With an older request on its link the link is closed, and the server loses the key before it serves again.
    """
    return engine.now + plan.ttl_max + plan.deadline + engine.orphan_age + SLACK_S


cdef bint standin_takes(
    ClientRequest* request, PlanNode* gutter, int child, const uint8_t* key, size_t size
) noexcept nogil:
    cdef Engine* engine = request.plan.engine
    cdef bint is_base64 = request.view.flags & REQ_BASE64 != 0
    cdef double until = 0
    cdef Servers servers
    cdef Owners owners
    cdef int answer, i
    if request.group == GROUP_DELETE:
        return True
    if request_may_store(request):
        until = _gone_at(engine, request.plan)
    _find_owners(request, gutter, child, key, size, &owners)
    servers.count = 0
    _find(request, request.plan.children[gutter.children + child], key, size, &servers)
    if servers.count > OWNERS_MAX:
        return False
    for i in range(servers.count):
        answer = taken_ask(servers.items[i].journal.taken, &owners, key, size, is_base64, engine.now, until)
        if answer & TAKEN_ANNOUNCE:
            counter_add(&engine.counts.notices, 1)
        if not answer & TAKEN_ALLOWED:
            return False
    return True
