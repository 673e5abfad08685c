"""Lays a plan out as a C table."""

cimport cython
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from mcroute._engine.backup cimport backup_begins, backup_child_ends
from mcroute._engine.bounds cimport server_bound_values
from mcroute._engine.combining cimport (
    all_begins, all_child_ends, constant_begins, detach_begins, first_begins, first_child_ends,
)
from mcroute._engine.custom cimport route_begins, route_child_ends
from mcroute._engine.hedged_gets cimport hedged_part_ended
from mcroute._engine.journal cimport journal_clear, journal_new
from mcroute._engine.lifetimes cimport server_add
from mcroute._engine.multigets cimport multiget_key_ended, multiget_part_ended
from mcroute._engine.observing cimport server_counts_clear
from mcroute._engine.once cimport once_begins, once_child_ends
from mcroute._engine.prefixes cimport prefixes_free, prefixes_new
from mcroute._engine.refills cimport refill_ask_ends
from mcroute._engine.state cimport (
    COPIES_MAX, GROUP_COUNT, NODE_ALL, NODE_ASK, NODE_BACKUP, NODE_CONSTANT, NODE_DETACH, NODE_FIRST, NODE_PYTHON,
    NODE_REFILL, NODE_SWITCH_COMMAND, NODE_SWITCH_PREFIX, NODE_THEN, OUTCOME_COUNT, PlanNode, PlanPool, Server, Text,
)
from mcroute._engine.server_words cimport mcroute_more, word_outs, word_ups
from mcroute._engine.taken cimport taken_clear
from mcroute._ring cimport Ring, ring_table

from mcroute.policy import nodes

KINDS = {
    nodes.Ask: NODE_ASK,
    nodes.CappedAsk: NODE_ASK,
    nodes.First: NODE_FIRST,
    nodes.Gutter: NODE_FIRST,
    nodes.All: NODE_ALL,
    nodes.Then: NODE_THEN,
    nodes.Detach: NODE_DETACH,
    nodes.SwitchCommand: NODE_SWITCH_COMMAND,
    nodes.SwitchPrefix: NODE_SWITCH_PREFIX,
    nodes.Constant: NODE_CONSTANT,
    nodes.Python: NODE_PYTHON,
    nodes.Backup: NODE_BACKUP,
}

# Nodes that may ask more than one server for a key.
_COMBINING = (nodes.First, nodes.All, nodes.Then, nodes.Backup, nodes.Detach, nodes.Python)


cdef void _give_functions(PlanNode* node) noexcept:
    if node.kind == NODE_FIRST:
        node.begins = first_begins
        node.child_ends = first_child_ends
    elif node.kind == NODE_ALL:
        node.begins = all_begins
        node.child_ends = all_child_ends
    elif node.kind == NODE_THEN:
        node.begins = once_begins
        node.child_ends = once_child_ends
    elif node.kind == NODE_BACKUP:
        node.begins = backup_begins
        node.child_ends = backup_child_ends
    elif node.kind == NODE_PYTHON:
        node.begins = route_begins
        node.child_ends = route_child_ends
    elif node.kind == NODE_DETACH:
        node.begins = detach_begins
    elif node.kind == NODE_CONSTANT:
        node.begins = constant_begins


cdef _lay_out_node(PlanNode* node, source, list children, list texts):
    node.kind = KINDS[type(source)]
    _give_functions(node)
    node.children = <int>len(children)
    own = getattr(source, "children", ())
    if node.kind == NODE_DETACH:
        own = (source.child,)
    node.child_count = <int>len(own)
    node.text = -1
    if node.kind == NODE_ASK:
        if not 0 <= source.rank < COPIES_MAX:
            raise ValueError(f"rank {source.rank} of an ask is not below {COPIES_MAX}")
        node.pool = source.pool
        node.rank = source.rank
        node.tags_cas = source.tags_cas
        node.ttl_max = getattr(source, "ttl_max_s", 0)
    elif node.kind == NODE_FIRST:
        node.on_miss = source.failing == nodes.Failing.ERROR_OR_MISS
        node.stops_late = source.failing == nodes.Failing.ERROR_IN_TIME
        node.random_start = source.random_start
        node.answer_last = source.answer_last
        node.hedges = source.hedges
        node.refills = source.refills
        node.is_gutter = isinstance(source, nodes.Gutter)
    elif node.kind == NODE_ALL:
        node.need = source.need
        node.least = source.least
    elif node.kind == NODE_CONSTANT and source.error is not None:
        node.text = <int>len(texts)
        texts.append(b"SERVER_ERROR " + source.error.encode() + b"\r\n")
    elif node.kind == NODE_PYTHON:
        node.route = <void*>source.route
    elif node.kind == NODE_SWITCH_PREFIX:
        node.prefixes = prefixes_new(list(source.prefixes))
    children.extend(own)


# The garbage collector does not clear it, nor tuples: rings and routes live as long as the engine that uses them.
@cython.no_gc_clear
cdef class CompiledPlan:
    """A plan in C, for as long as an engine or a request refers to it. `servers` come from `ServerIds.admit`."""

    def __cinit__(self, plan, list servers):
        cdef int group, outcome
        self.plan = plan
        self.ids = {server.name: server.id for server in servers}
        self._lay_out_servers(servers)
        self.rings = tuple([pool.ring() for pool in plan.pools])
        self.routes = tuple([node.route for node in plan.nodes if isinstance(node, nodes.Python)])
        self.table = <PlanTable*>calloc(1, sizeof(PlanTable))
        if self.table == NULL:
            raise MemoryError
        self.table.root = plan.root
        self.table.part_ends = multiget_part_ended
        self.table.key_ends = multiget_key_ended
        self.table.hedged_part_ends = hedged_part_ended
        self._lay_out_pools(plan)
        self._lay_out_nodes(plan)
        self.table.retry_share = plan.retry_share
        self.table.retry_floor = plan.retry_floor_per_s
        self.table.hedge_share = plan.hedge_share
        for group in range(<int>GROUP_COUNT):
            self.table.missed[group] = plan.missed[group]
            for outcome in range(<int>OUTCOME_COUNT):
                self.table.merge[group][outcome] = plan.merge[group][outcome]

    def __dealloc__(self):
        cdef int i
        free(self.servers)
        if self.table == NULL:
            return
        for i in range(self.table.text_count):
            free(self.table.texts[i].data)
        for i in range(self.table.pool_count):
            free(self.table.pools[i].server_ids)
        for i in range(self.table.node_count):
            prefixes_free(self.table.nodes[i].prefixes)
        free(self.table.texts)
        free(self.table.pools)
        free(self.table.nodes)
        free(self.table.children)
        free(self.table)

    def _lay_out_servers(self, list servers):
        cdef int i
        self.servers = <AdmittedServer*>calloc(max(1, len(servers)), sizeof(AdmittedServer))
        if self.servers == NULL:
            raise MemoryError
        self.server_count = <int>len(servers)
        for i, server in enumerate(servers):
            options = server.options
            self.servers[i] = AdmittedServer(server.id, server.is_new, server.cas_tag, options.trip_after,
                                             options.reply_timeout_s, options.value_max, NULL, NULL, NULL)

    def _lay_out_pools(self, plan):
        cdef PlanPool* pool
        cdef int i, j
        self.table.pools = <PlanPool*>calloc(max(1, len(plan.pools)), sizeof(PlanPool))
        if self.table.pools == NULL:
            raise MemoryError
        self.table.pool_count = <int>len(plan.pools)
        self.table.shortest = 3600.0
        for i, source in enumerate(plan.pools):
            pool = &self.table.pools[i]
            pool.ring = ring_table(<Ring?>self.rings[i])
            pool.size = <int>len(source.servers)
            pool.server_ids = <int*>malloc(pool.size * sizeof(int))
            if pool.server_ids == NULL:
                raise MemoryError
            for j, server in enumerate(source.servers):
                pool.server_ids[j] = self.ids[server.name]
            self.table.deadline = max(self.table.deadline, source.deadline_s)
            self.table.shortest = min(self.table.shortest, source.reply_timeout_s, source.deadline_s)
        if not plan.pools:
            self.table.deadline = 1.0

    def _lay_out_nodes(self, plan):
        cdef int i
        children = []
        texts = []
        of_keys = plan.nodes_of_keys()
        self.table.nodes = <PlanNode*>calloc(len(plan.nodes) + 1, sizeof(PlanNode))
        if self.table.nodes == NULL:
            raise MemoryError
        self.table.node_count = <int>len(plan.nodes)
        self.table.nodes[self.table.node_count].kind = NODE_REFILL
        self.table.nodes[self.table.node_count].child_ends = refill_ask_ends
        for i, node in enumerate(plan.nodes):
            _lay_out_node(&self.table.nodes[i], node, children, texts)
            self.table.ttl_max = max(self.table.ttl_max, self.table.nodes[i].ttl_max)
            # A flush goes to all servers in every plan, and claims nothing.
            self.table.has_copies |= i in of_keys and isinstance(node, _COMBINING)
        self.table.answers_early = plan.answers_early
        self.table.caps_lifetimes = self.table.ttl_max > 0
        self.table.children = <int*>malloc(max(1, len(children)) * sizeof(int))
        if self.table.children == NULL:
            raise MemoryError
        for i, child in enumerate(children):
            self.table.children[i] = child
        self._lay_out_texts(texts)

    def _lay_out_texts(self, texts):
        cdef Text* text
        cdef const uint8_t* data
        cdef int i
        self.table.texts = <Text*>calloc(max(1, len(texts)), sizeof(Text))
        if self.table.texts == NULL:
            raise MemoryError
        for i, source in enumerate(texts):
            text = &self.table.texts[i]
            data = source
            text.size = len(source)
            text.data = <uint8_t*>malloc(text.size + 1)
            if text.data == NULL:
                raise MemoryError
            memcpy(text.data, data, text.size)
            self.table.text_count = i + 1


cdef bint servers_admit(Engine* engine, const AdmittedServer* servers, int count) noexcept nogil:
    cdef const AdmittedServer* admitted
    cdef Server* server
    cdef int i
    for i in range(count):
        while engine.server_count <= servers[i].id:
            if server_add(engine) == NULL:
                return False
    for i in range(count):
        server = engine.servers[servers[i].id]
        if servers[i].journal != NULL:
            server.journal = servers[i].journal
        elif server.own_journal == NULL:
            server.own_journal = server.journal = journal_new(&engine.journals, servers[i].id)
        if server.journal == NULL:
            return False
    for i in range(count):
        admitted = &servers[i]
        server = engine.servers[admitted.id]
        server.trip_after = admitted.trip_after
        server.reply_timeout = admitted.reply_timeout
        server.cas_tag = admitted.cas_tag
        server.value_set = admitted.value_max
        # Even if the server is not new: is_new is set once, and the admission may then have failed in another thread.
        if admitted.word != NULL:
            server.word = admitted.word
        if admitted.description != NULL:
            server.description = admitted.description
        if admitted.is_new:
            server.failures = 0
            server.item_size_max = 0
            server.hedge_after = 0
            server.has_wide_flags = False
            server_counts_clear(server)
            if admitted.journal == NULL:
                journal_clear(server.journal)
                taken_clear(server.journal.taken)
            if admitted.word == NULL:
                server.own_word.bits = 0
                mcroute_more(&server.own_word.ups)
                memset(&server.own_description, 0, sizeof(Description))
            server.outs_seen = word_outs(server.word)
            server.ups_seen = word_ups(server.word)
        server_bound_values(server)
    return True
