"""Bytes in and out of connections, and the passing of time."""

from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from mcroute._engine.answers cimport conn_break, request_taken, session_abandon
from mcroute._engine.counters cimport counter_add, show
from mcroute._engine.custom cimport routes_abandon, routes_check
from mcroute._engine.deadlines cimport deadlines_next
from mcroute._engine.handed cimport handed_forget
from mcroute._engine.blocks cimport (
    Block, block_drop, block_new, out_clear, out_copy, out_sent, pool_clear, pool_init,
)
from mcroute._engine.links cimport command_changes, link_expect_greeting, link_haunt
from mcroute._engine.replies cimport link_check, link_input, link_lost
from mcroute._engine.requests cimport session_input
from mcroute._engine.state cimport (
    CONN_LINK, CONN_SESSION, LINKS_MAX, LINK_CLOSED, LINK_CONNECTING, LINK_READY, OUTCOME_COUNT,
    RETRIES_MAX, SCRIPT_MAX, Request, Walk,
)
from mcroute._engine.walks cimport walk_expire, walks_resume
from mcroute._protocol cimport default_limits

cdef enum:
    SCRATCH_SIZE = 64 * 1024   # what connections without a started message read into, one after the other
    READ_MIN = 16 * 1024        # room that is lent at least
    LARGE = 16 * 1024           # messages from this size on are read into the place where they stay


# ---- life ----

cdef Engine* engine_new(uint64_t seed) noexcept nogil:
    cdef Engine* engine = <Engine*>calloc(1, sizeof(Engine))
    if engine == NULL:
        return NULL
    pool_init(&engine.pool, <size_t>1 << 30, 8 << 20)
    engine.limits = default_limits()
    engine.next_check = INFINITY
    engine.pipeline_max = 1024
    engine.out_max = 8 << 20
    engine.queue_max = 64 * 1024
    engine.calls_max = 64 * 1024
    engine.routes_max = 16 * 1024
    engine.handed_max = 1024
    engine.link_out_max = 64 << 20
    engine.orphans_max = 32 * 1024
    engine.orphan_age = 10.0
    engine.retry_tokens = RETRIES_MAX
    engine.random = seed | 1
    return engine


cdef void engine_install(Engine* engine, PlanTable* plan) noexcept nogil:
    plan.engine = engine
    plan.refs += 1
    if engine.plan != NULL:
        engine.plan.refs -= 1
    engine.plan = plan


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
    engine.servers[server.id] = server
    engine.server_count += 1
    return server


cdef void engine_free(Engine* engine) noexcept nogil:
    cdef int i, j
    cdef Server* server
    cdef Request* request
    cdef Walk* walk
    while engine.sessions != NULL:
        session_close(engine.sessions)
    # What is lost on one link may still be tried on another: all are closed before one is freed.
    for i in range(engine.server_count):
        server = engine.servers[i]
        for j in range(server.link_count):
            link_closed(server.links[j], engine.now)
    # What is stopped may be tried on another link, and what waited behind it begins: all before the links go.
    while engine.routes.first != NULL or engine.released != NULL:
        routes_abandon(engine)
        walks_resume(engine)
    routes_abandon(engine)
    handed_forget(engine)
    for i in range(engine.server_count):
        server = engine.servers[i]
        for j in range(server.link_count):
            free(server.links[j].ring)
            free(server.links[j])
    while engine.finished != NULL:
        request_taken(engine.finished)
    while engine.spare_requests != NULL:
        request = engine.spare_requests
        engine.spare_requests = request.next
        free(request)
    while engine.spare_walks != NULL:
        walk = engine.spare_walks
        engine.spare_walks = walk.spare
        free(walk)
    if engine.scratch != NULL:
        block_drop(engine.scratch)
    if engine.plan != NULL:
        engine.plan.refs -= 1
    for i in range(engine.server_count):
        free(engine.servers[i].replies)
        free(engine.servers[i])
    free(engine.servers)
    pool_clear(&engine.pool)
    free(engine.dirty)
    free(engine)


cdef void _conn_init(Conn* conn, Engine* engine, int kind) noexcept nogil:
    conn.kind = kind
    conn.engine = engine
    conn.is_first = True
    engine.next_id += 1
    conn.id = engine.next_id


cdef void _conn_clear(Conn* conn) noexcept nogil:
    """Forgets what the connection held; also its place among the dirty ones."""
    cdef unsigned int i
    cdef Engine* engine = conn.engine
    if conn.input.block != NULL:
        block_drop(conn.input.block)
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
    session_abandon(session)
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


cdef void link_connecting(Link* link) noexcept nogil:
    link.state = LINK_CONNECTING
    link.script_size = 0
    link.greeting_size = 0
    link.conn.is_broken = False
    link.conn.is_closing = False
    link.conn.is_first = True


cdef bint link_script(Link* link, Text request, Text prefix) noexcept nogil:
    cdef Engine* engine = link.conn.engine
    if link.script_size == SCRIPT_MAX or not out_copy(&link.conn.out, &engine.pool, request.data, request.size):
        return False
    return link_expect_greeting(link, prefix)


cdef void link_connected(Link* link) noexcept nogil:
    link.state = LINK_READY
    counter_add(&link.server.counts.connects, 1)


cdef void link_closed(Link* link, double now) noexcept nogil:
    engine_began(link.conn.engine, now)
    _conn_clear(&link.conn)
    link_lost(link)
    engine_resume(link.conn.engine, now)


# ---- bytes in ----

cdef bint _renew_scratch(Engine* engine) noexcept nogil:
    """Room in the shared block: the same again if nobody kept a part of it, else a new one."""
    cdef Block* block = engine.scratch
    if block != NULL:
        if block.refs == 1:
            block.fill = 0
            return True
        if block.capacity - block.fill >= READ_MIN:
            return True
        block_drop(block)
    engine.scratch = block_new(&engine.pool, SCRATCH_SIZE)
    return engine.scratch != NULL


cdef size_t _wanted(Conn* conn, size_t room) noexcept nogil:
    """Of the room, no more than a large message takes: what follows it would have to be moved out of its block.

    A line without an end needs one byte more each time, which says nothing.
    """
    cdef size_t held = conn.input.end - conn.input.start
    cdef size_t whole = conn.input.need if held > 0 else conn.input.large
    return min(room, whole - held) if whole >= LARGE and whole > held + 1 else room


cdef uint8_t* conn_buffer(Conn* conn, size_t* size) noexcept nogil:
    cdef Engine* engine = conn.engine
    cdef Block* block = conn.input.block
    if conn.is_broken:
        return NULL
    if block == NULL and conn.input.large > 0:
        block = block_new(&engine.pool, conn.input.large)
        conn.input.block = block
        conn.input.start = 0
        conn.input.end = 0
    if block == NULL:
        if not _renew_scratch(engine):
            # A driver that reads all the same would drop a part of the stream.
            conn_break(conn)
            return NULL
        block = engine.scratch
        engine.lent_offset = block.fill
    else:
        if conn.kind == CONN_SESSION and (<Session*>conn).is_paused:
            return NULL
        engine.lent_offset = conn.input.end
    engine.reading = conn
    engine.lent = block
    size[0] = block.capacity - engine.lent_offset
    if block != engine.scratch:
        size[0] = _wanted(conn, size[0])
    return block.data + engine.lent_offset


cdef void _keep_rest(Conn* conn, bint is_shared) noexcept nogil:
    """What is not a whole message yet moves into a block of the connection's own, if it is not there."""
    cdef size_t rest = conn.input.end - conn.input.start
    cdef size_t room = rest + 4096
    cdef Block* block = conn.input.block
    cdef Block* own
    if rest == 0:
        if is_shared or conn.input.end < LARGE:
            conn.input.large = 0
        if not is_shared:
            block_drop(block)
        conn.input.block = NULL
        return
    if conn.input.need >= LARGE:
        conn.input.large = conn.input.need
    if conn.input.need > room:
        room = conn.input.need
    if not is_shared and block.capacity - conn.input.start >= room:
        return
    own = block_new(&conn.engine.pool, room)
    if own == NULL:
        conn_break(conn)
        if is_shared:
            conn.input.block = NULL
        return
    memcpy(own.data, block.data + conn.input.start, rest)
    if not is_shared:
        block_drop(block)
    conn.input.block = own
    conn.input.start = 0
    conn.input.end = rest
    own.fill = rest


cdef void _parse(Conn* conn, bint is_shared) noexcept nogil:
    if conn.kind == CONN_SESSION:
        session_input(<Session*>conn)
    else:
        link_input(<Link*>conn)
    _keep_rest(conn, is_shared)


cdef void conn_received(Conn* conn, size_t size, double now) noexcept nogil:
    cdef Engine* engine = conn.engine
    cdef bint is_shared = conn.input.block == NULL
    if engine.reading != conn or size == 0:
        return
    engine.reading = NULL
    engine_began(engine, now)
    if conn.kind == CONN_SESSION:
        counter_add(&engine.counts.bytes_in, size)
    if is_shared:
        conn.input.block = engine.lent
        conn.input.start = engine.lent_offset
        conn.input.end = engine.lent_offset
    conn.input.end += size
    conn.input.block.fill = conn.input.end
    if conn.input.end - conn.input.start >= conn.input.need:
        _parse(conn, is_shared)
    elif is_shared:
        _keep_rest(conn, True)
    engine_resume(engine, now)


# ---- bytes out ----

cdef int conn_iovecs(Conn* conn, IoVec* pieces, int count) noexcept nogil:
    cdef int i
    cdef unsigned int slot
    if count > <int>conn.out.count:
        count = <int>conn.out.count
    for i in range(count):
        slot = (conn.out.head + i) & (conn.out.slots - 1)
        pieces[i].base = conn.out.ring[slot].block.data + conn.out.ring[slot].offset
        pieces[i].size = conn.out.ring[slot].size
    return count


cdef void conn_sent(Conn* conn, size_t size) noexcept nogil:
    out_sent(&conn.out, size)
    if conn.kind == CONN_SESSION:
        counter_add(&conn.engine.counts.bytes_out, size)
    if conn.kind == CONN_SESSION and (<Session*>conn).is_paused and conn.input.block != NULL:
        # What was left unparsed may fit now.
        engine_began(conn.engine, conn.engine.now)
        _parse(conn, False)


# ---- time ----

cdef void engine_resume(Engine* engine, double now) noexcept nogil:
    if engine.released != NULL:
        engine_began(engine, now)
        walks_resume(engine)


cdef uint64_t _failovers(Engine* engine) noexcept nogil:
    cdef uint64_t total = 0
    cdef int outcome
    for outcome in range(OUTCOME_COUNT):
        total += engine.counts.failovers[outcome]
    return total


cdef void _haunt(Engine* engine) noexcept nogil:
    """What has reached its deadline may wait for servers longer than its client does."""
    cdef int i, j
    for i in range(engine.server_count):
        for j in range(engine.servers[i].link_count):
            link_haunt(engine.servers[i].links[j])


cdef void engine_check(Engine* engine, double now) noexcept nogil:
    cdef double due
    cdef double earliest = INFINITY
    cdef uint64_t failovers = _failovers(engine)
    cdef bint may_haunt = False
    cdef Request* request
    cdef int i, j
    engine.now = now
    for i in range(engine.server_count):
        for j in range(engine.servers[i].link_count):
            due = link_check(engine.servers[i].links[j], now)
            if due < earliest:
                earliest = due
    while deadlines_next(&engine.requests) <= now:
        request = <Request*>engine.requests.first
        may_haunt = may_haunt or command_changes(request.view.command)
        walk_expire(request)
    if may_haunt:
        _haunt(engine)
    engine.next_check = min(earliest, deadlines_next(&engine.requests), routes_check(engine, now))
    engine_resume(engine, now)
    if _failovers(engine) != failovers:
        # Asked of a server that the loop above had looked at already.
        engine_began(engine, now)
