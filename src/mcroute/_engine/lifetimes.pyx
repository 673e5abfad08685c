# Only for use from Cython: see lifetimes.pxd.
"""Allocates the structures, links them to their owners, and frees them."""

from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from mcroute._engine.beginnings cimport claims_end, engine_resume, requests_resume
from mcroute._engine.blocks cimport block_unref, out_clear, out_copy, pool_clear, pool_init, pool_set_share
from mcroute._engine.bounds cimport engine_bound_values
from mcroute._engine.clock cimport engine_began, engine_find_shortest
from mcroute._engine.counters cimport counter_add, show
from mcroute._engine.custom cimport routes_end
from mcroute._engine.dirty cimport conn_mark
from mcroute._engine.deferred cimport deferred_end_all
from mcroute._engine.journal cimport journal_free
from mcroute._engine.links cimport link_expect_greeting, link_open
from mcroute._engine.multigets cimport ROUND_KEYS_MAX
from mcroute._engine.once_runs cimport once_runs_new
from mcroute._engine.refill_wishes cimport refills_free, refills_new
from mcroute._engine.requests cimport request_taken
from mcroute._engine.session_output cimport session_discard_requests
from mcroute._engine.state cimport (
    CONN_LINK, CONN_SESSION, LINKS_MAX, LINK_CLOSED, LINK_CONNECTING, LINK_GREETING, NOT_LOST, RETRIES_MAX,
    SCRIPT_MAX, VALUE_MAX_UNKNOWN, ClientRequest, Conn, Walk,
)
from mcroute._engine.trips cimport link_fail_expected
from mcroute._protocol cimport default_limits

# ---- an engine ----

cdef Engine* engine_new(uint64_t seed) noexcept nogil:
    cdef Engine* engine = <Engine*>calloc(1, sizeof(Engine))
    if engine == NULL:
        return NULL
    # An engine keeps at most 8 MiB of unused blocks in all: in time its memory grows by as much.
    pool_init(&engine.pool, 4 << 20)
    pool_init(&engine.uploads, 3 << 20)
    pool_init(&engine.outbound, 1 << 20)
    pool_set_share(&engine.pool, <size_t>1 << 30)
    pool_set_share(&engine.uploads, <size_t>1 << 30)
    pool_set_share(&engine.outbound, <size_t>256 << 20)
    # As in policy.Limits, until engine_set_bounds.
    engine.journals.keys_max = 100_000
    engine.journals.memory_max = 64 << 20
    engine.reclaim_failed_at = -1
    engine.round_keys = ROUND_KEYS_MAX
    engine.limits = default_limits()
    engine.next_check = INFINITY
    engine.shortest = INFINITY
    engine.pipeline_max = 1024
    engine.out_max = 8 << 20
    # Of links as in policy.Limits, until engine_set_bounds.
    engine.queue_max = 64 * 1024
    engine.calls_max = 64 * 1024
    engine.routes_max = 16 * 1024
    engine.deferred_max = 1024
    engine.link_out_max = 64 << 20
    engine.orphans_max = 32 * 1024
    engine.orphan_age = 10.0
    engine.retry_tokens = RETRIES_MAX
    engine.random = seed | 1
    engine.refills = refills_new()
    engine.once_runs = once_runs_new()
    if engine.refills == NULL or engine.once_runs == NULL:
        free(engine.refills)
        free(engine.once_runs)
        free(engine)
        return NULL
    return engine


cdef void engine_install(Engine* engine, PlanTable* plan) noexcept nogil:
    plan.engine = engine
    plan.refs += 1
    if engine.plan != NULL:
        engine.plan.refs -= 1
    engine.plan = plan
    engine_bound_values(engine)
    engine_find_shortest(engine)


cdef Server* server_add(Engine* engine) noexcept nogil:
    cdef Server** more = <Server**>realloc(engine.servers, (engine.server_count + 1) * sizeof(Server*))
    cdef Server* server
    if more == NULL:
        return NULL
    engine.servers = more
    server = <Server*>calloc(1, sizeof(Server))
    if server == NULL:
        return NULL
    server.id = engine.server_count
    server.next = engine.newest_server
    show(<void**>&engine.newest_server, server)
    server.word = &server.own_word
    server.description = &server.own_description
    server.value_max = VALUE_MAX_UNKNOWN
    server.lost_error = NOT_LOST
    engine.servers[server.id] = server
    engine.server_count += 1
    return server


cdef void _free_spares(Engine* engine) noexcept nogil:
    cdef ClientRequest* request
    cdef Walk* walk
    while engine.spare_requests != NULL:
        request = engine.spare_requests
        engine.spare_requests = request.next
        free(request)
    while engine.spare_walks != NULL:
        walk = engine.spare_walks
        engine.spare_walks = walk.spare
        free(walk)


cdef void _free_server(Server* server) noexcept nogil:
    cdef int i
    for i in range(server.link_count):
        free(server.links[i].ring)
        free(server.links[i])
    free(server.replies)
    journal_free(server.own_journal)
    free(server)


cdef void _end_all(Engine* engine) noexcept nogil:
    """Ends all requests. The end of one may begin an ask on another link, so the links are freed later."""
    cdef int i, j
    cdef Server* server
    engine.refills.is_ending = True
    while engine.sessions != NULL:
        session_close(engine.sessions)
    for i in range(engine.server_count):
        server = engine.servers[i]
        for j in range(server.link_count):
            link_closed(server.links[j], engine.now)
    while engine.routes.first != NULL or engine.released != NULL or engine.waiting != NULL:
        claims_end(engine)
        routes_end(engine)
        requests_resume(engine)
    routes_end(engine)
    refills_free(engine)
    deferred_end_all(engine)
    while engine.finished != NULL:
        request_taken(engine.finished)


cdef void engine_free(Engine* engine) noexcept nogil:
    cdef int i
    _end_all(engine)
    for i in range(engine.server_count):
        _free_server(engine.servers[i])
    free(engine.servers)
    _free_spares(engine)
    if engine.scratch != NULL:
        block_unref(engine.scratch)
    if engine.plan != NULL:
        engine.plan.refs -= 1
    pool_clear(&engine.pool)
    pool_clear(&engine.uploads)
    pool_clear(&engine.outbound)
    free(engine.dirty)
    free(engine.slot_ghosts)
    free(engine.once_runs)
    free(engine)


# ---- its connections ----

cdef void _conn_init(Conn* conn, Engine* engine, int kind) noexcept nogil:
    conn.kind = kind
    conn.engine = engine
    conn.is_first = True
    engine.next_id += 1
    conn.id = engine.next_id


cdef void _conn_clear(Conn* conn) noexcept nogil:
    """Frees the connection's input and output, and removes it from the dirty connections."""
    cdef unsigned int i
    cdef Engine* engine = conn.engine
    if conn.input.block != NULL:
        block_unref(conn.input.block)
    memset(&conn.input, 0, sizeof(conn.input))
    out_clear(&conn.out)
    if conn.is_dirty:
        for i in range(engine.dirty_count):
            if engine.dirty[i] == conn:
                engine.dirty[i] = NULL
        conn.is_dirty = False
    if engine.reading == conn:
        engine.reading = NULL


cdef Session* session_open(Engine* engine) noexcept nogil:
    cdef Session* session = <Session*>calloc(1, sizeof(Session))
    if session == NULL:
        return NULL
    _conn_init(&session.conn, engine, CONN_SESSION)
    session.next = engine.sessions
    if engine.sessions != NULL:
        engine.sessions.previous = session
    engine.sessions = session
    counter_add(&engine.counts.sessions_opened, 1)
    return session


cdef void session_close(Session* session) noexcept nogil:
    cdef Engine* engine = session.conn.engine
    session_discard_requests(session)
    _conn_clear(&session.conn)
    if session.previous == NULL:
        engine.sessions = session.next
    else:
        session.previous.next = session.next
    if session.next != NULL:
        session.next.previous = session.previous
    counter_add(&engine.counts.sessions_closed, 1)
    free(session)


cdef Link* link_new(Engine* engine, Server* server) noexcept nogil:
    cdef Link* link
    if server.link_count == LINKS_MAX:
        return NULL
    link = <Link*>calloc(1, sizeof(Link))
    if link == NULL:
        return NULL
    _conn_init(&link.conn, engine, CONN_LINK)
    link.server = server
    link.state = LINK_CLOSED
    server.links[server.link_count] = link
    server.link_count += 1
    return link


cdef void link_undo(Link* link) noexcept nogil:
    link.server.link_count -= 1
    free(link)


cdef void link_connecting(Link* link) noexcept nogil:
    link.state = LINK_CONNECTING
    link.conn.swallow = 0
    link.script_size = 0
    link.script_unsent = 0
    link.greeting_size = 0
    link.partial_size = 0
    link.conn.is_broken = False
    link.conn.is_closing = False
    link.conn.is_first = True


cdef bint link_script(Link* link, Text request, Text prefix) noexcept nogil:
    cdef Engine* engine = link.conn.engine
    if link.script_size == SCRIPT_MAX or not out_copy(
            &link.conn.out, &engine.outbound, request.data, request.size):
        return False
    link.script_unsent += request.size
    return link_expect_greeting(link, prefix)


cdef void link_connected(Link* link) noexcept nogil:
    if link.script_size == 0:
        link_open(link)
        return
    link.state = LINK_GREETING
    conn_mark(&link.conn)


cdef void _close(Link* link, double now, bint is_ours) noexcept nogil:
    engine_began(link.conn.engine, now)
    _conn_clear(&link.conn)
    link_fail_expected(link, is_ours)
    engine_resume(link.conn.engine, now)


cdef void link_closed(Link* link, double now) noexcept nogil:
    _close(link, now, False)


cdef void link_withdrawn(Link* link, double now) noexcept nogil:
    _close(link, now, True)
