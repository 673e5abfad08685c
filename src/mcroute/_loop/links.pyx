"""A link's life, without the interpreter; the supervisor hears of it and may say more.

A connection that is lost with writes under way takes its server out of service at once, and is made again only
when the supervisor has taken note: whether those writes can still be executed is for it to find out.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset, strlen

from mcroute._engine.answers cimport conn_mark
from mcroute._engine.counters cimport counter_add
from mcroute._engine.lifetimes cimport link_closed, link_connected, link_connecting, link_new, link_script
from mcroute._engine.links cimport link_unanswered_writes
from mcroute._engine.state cimport LINK_CLOSED, LINK_CONNECTING, Link, Server, Text
from mcroute._engine.words cimport SERVER_UP, word_eject, word_missed, word_state
from mcroute._loop.endpoints cimport (
    endpoint_close, endpoint_flush, endpoint_open, endpoint_receive, endpoint_watch,
)
from mcroute._loop.state cimport (
    ADDRESSES_MAX, CHANGE_CONNECTED, CHANGE_FAILED, CHANGE_LOST, END_LINK, STAGE_CONNECTED,
    STAGE_CONNECTING, STAGE_HELD, STAGE_IDLE, STAGE_WAITING, Upstream,
)
from mcroute._loop.system cimport (
    EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, close, mcroute_connect, mcroute_name_of, mcroute_own_name,
    mcroute_socket_error,
)

cdef double RETRY_BASE = 0.05   # seconds
cdef double RETRY_CAP = 2.0

# Who answers something else is not asked for values.
cdef const char* HELLO = b"version\r\n"
cdef const char* HELLO_PREFIX = b"VERSION "


# ---- reports ----

cdef void _report(LoopLink* link, uint32_t change) noexcept nogil:
    cdef Loop* loop = link.end.loop
    link.report.server = link.server
    link.report.index = link.index
    link.report.changes |= change
    if not link.is_reported:
        link.is_reported = True
        link.next_report = loop.reports
        loop.reports = link


cdef void _report_loss(LoopLink* link) noexcept nogil:
    if not link.report.changes & CHANGE_LOST:
        link.report.missed = word_missed(link.link.server.word)
    link.report.greeting_size = link.link.greeting_size
    memcpy(link.report.greeting, link.link.greeting, link.link.greeting_size)
    _report(link, CHANGE_LOST)


cdef void links_report(Loop* loop, void* reports) noexcept nogil:
    cdef Reports* out = <Reports*>reports
    cdef LoopLink* link
    out.count = 0
    while loop.reports != NULL and out.count < REPORTS_MAX:
        link = loop.reports
        loop.reports = link.next_report
        link.is_reported = False
        out.items[out.count] = link.report
        out.count += 1
        memset(&link.report, 0, sizeof(LinkReport))
        if link.stage == STAGE_HELD:
            _wait(link, 0)


# ---- one connection ----

cdef Upstream* _upstream(LoopLink* link) noexcept nogil:
    return link.end.loop.upstreams[link.server]


cdef void _due(LoopLink* link, double due) noexcept nogil:
    link.due = due
    if due < link.end.loop.due:
        link.end.loop.due = due


cdef double _chance(Loop* loop) noexcept nogil:
    """In [0, 1), by Marsaglia's xorshift."""
    cdef uint64_t x = loop.random
    x ^= x << 13
    x ^= x >> 7
    x ^= x << 17
    loop.random = x
    return <double>(x >> 11) / <double>(<uint64_t>1 << 53)


cdef void _wait(LoopLink* link, uint32_t attempt) noexcept nogil:
    """Before the next attempt: longer each time, with jitter so that many proxies do not come at once."""
    cdef double most = RETRY_BASE * <double>(1 << min(attempt, <uint32_t>16))
    link.attempt = attempt
    link.stage = STAGE_WAITING
    _due(link, link.end.loop.now if attempt == 0
         else link.end.loop.now + min(most, RETRY_CAP) * (1.0 - 0.5 * _chance(link.end.loop)))


cdef void _open(LoopLink* link) noexcept nogil:
    """From here on requests wait for the connection."""
    if link.link.state == LINK_CLOSED:
        link_connecting(link.link)
        link_script(link.link, Text(<unsigned char*>HELLO, strlen(HELLO)),
                    Text(<unsigned char*>HELLO_PREFIX, strlen(HELLO_PREFIX)))


cdef bint _try(LoopLink* link, int address) noexcept nogil:
    """Begins to connect to this address, or a later one of the same server."""
    cdef Upstream* upstream = _upstream(link)
    cdef int fd
    for address in range(address, upstream.address_count):
        fd = mcroute_connect(&upstream.addresses[address].name, upstream.addresses[address].size)
        if fd < 0:
            continue
        if endpoint_open(&link.end, link.end.loop, END_LINK, fd, &link.link.conn, EPOLLOUT):
            link.address = address
            return True
        close(fd)
    return False


cdef void _connect(LoopLink* link) noexcept nogil:
    _open(link)
    link.stage = STAGE_CONNECTING
    _due(link, link.end.loop.now + _upstream(link).timeout)
    if not _try(link, link.address):
        _failed(link, 0)


cdef void _failed(LoopLink* link, int next_address) noexcept nogil:
    """The next attempt begins with that address."""
    link.address = next_address if next_address < _upstream(link).address_count else 0
    link.is_tried = True
    link_closed(link.link, link.end.loop.now)
    _report(link, CHANGE_FAILED)
    _wait(link, link.attempt + 1)


cdef void _connected(LoopLink* link) noexcept nogil:
    link.is_tried = True
    link.stage = STAGE_CONNECTED
    link.due = INFINITY
    mcroute_own_name(link.end.fd, &link.name)
    endpoint_watch(&link.end, EPOLLIN)
    link_connected(link.link)
    # What waited for the connection goes out at the end of this turn.
    conn_mark(&link.link.conn)
    _report(link, CHANGE_CONNECTED)


cdef void link_ready(LoopLink* link, uint32_t events) noexcept nogil:
    if link.stage == STAGE_CONNECTING:
        if mcroute_socket_error(link.end.fd) == 0:
            _connected(link)
            return
        endpoint_close(&link.end)
        if not _try(link, link.address + 1):
            _failed(link, 0)
        return
    if events & EPOLLOUT and not endpoint_flush(&link.end):
        link_end(link)
        return
    if events & EPOLLIN:
        if not endpoint_receive(&link.end):
            link_end(link)
    elif events & (EPOLLERR | EPOLLHUP):
        link_end(link)


cdef bint _has_greeted(Link* link) noexcept nogil:
    """As a memcached does."""
    cdef int size = <int>strlen(HELLO_PREFIX)
    return link.greeting_size >= size and memcmp(link.greeting, HELLO_PREFIX, size) == 0


cdef void link_end(LoopLink* link) noexcept nogil:
    cdef Loop* loop = link.end.loop
    cdef Server* server = link.link.server
    cdef uint32_t writes = link_unanswered_writes(link.link)
    endpoint_close(&link.end)
    if link.stage == STAGE_CONNECTING:
        # It took too long, and would again: another address may not.
        _failed(link, link.address + 1)
        return
    if writes > 0:
        link.report.lost_writes = writes
        link.report.lost_name = link.name
        # Before the ghosts of this link are forgotten, and before any client hears of the loss. Also the last one of
        # a pool: with these writes it may hold old values, and whether another one serves is for the supervisor to say.
        if word_eject(server.word):
            counter_add(&loop.engine.counts.ejections, 1)
        link_closed(link.link, loop.now)
        _report_loss(link)
        link.stage = STAGE_HELD
        link.due = INFINITY
        return
    link_closed(link.link, loop.now)
    _report_loss(link)
    if not _has_greeted(link.link):
        # As bad as one that refuses: at once, it would be asked again without end.
        _wait(link, link.attempt + 1)
        return
    if word_state(server.word) == SERVER_UP:
        # So that the server misses nothing.
        _open(link)
    _wait(link, 0)


cdef void links_check(Loop* loop) noexcept nogil:
    cdef int i, j
    cdef LoopLink* link
    loop.due = loop.listen_again_at
    for i in range(loop.upstream_count):
        if loop.upstreams[i] == NULL:
            continue
        for j in range(loop.upstreams[i].link_count):
            link = loop.upstreams[i].links[j]
            if link.due <= loop.now:
                link.due = INFINITY
                if link.stage == STAGE_WAITING:
                    _connect(link)
                elif link.stage == STAGE_CONNECTING:
                    link_end(link)
            if link.due < loop.due:
                loop.due = link.due


# ---- errands ----

cdef bint _has_room(Loop* loop, int server) noexcept nogil:
    cdef int count = server + 1
    cdef Upstream** more
    if count > loop.upstream_count:
        more = <Upstream**>realloc(loop.upstreams, count * sizeof(Upstream*))
        if more == NULL:
            return False
        memset(more + loop.upstream_count, 0, (count - loop.upstream_count) * sizeof(Upstream*))
        loop.upstreams = more
        loop.upstream_count = count
    if loop.upstreams[server] == NULL:
        loop.upstreams[server] = <Upstream*>calloc(1, sizeof(Upstream))
    return loop.upstreams[server] != NULL


cdef bint _add_link(Loop* loop, int server) noexcept nogil:
    cdef Upstream* upstream = loop.upstreams[server]
    cdef LoopLink* link = <LoopLink*>calloc(1, sizeof(LoopLink))
    if link == NULL:
        return False
    link.link = link_new(loop.engine, loop.engine.servers[server])
    if link.link == NULL:
        free(link)
        return False
    # Also before it is connected: the engine marks it when requests wait.
    link.link.conn.user = &link.end
    link.end.loop = loop
    link.end.fd = -1
    link.server = server
    link.index = upstream.link_count
    upstream.links[upstream.link_count] = link
    upstream.link_count += 1
    return True


cdef void upstream_connect(Loop* loop, void* wish) noexcept nogil:
    cdef Wish* wanted = <Wish*>wish
    cdef Upstream* upstream
    cdef int i
    wanted.is_done = _has_room(loop, wanted.server)
    if not wanted.is_done:
        return
    upstream = loop.upstreams[wanted.server]
    upstream.timeout = wanted.timeout
    upstream.address_count = min(wanted.address_count, <int>ADDRESSES_MAX)
    memcpy(upstream.addresses, wanted.addresses, upstream.address_count * sizeof(Address))
    while upstream.link_count < wanted.count:
        if not _add_link(loop, wanted.server):
            wanted.is_done = False
            return
    for i in range(upstream.link_count):
        if upstream.links[i].address >= upstream.address_count:
            upstream.links[i].address = 0
        if upstream.links[i].stage == STAGE_IDLE:
            upstream.links[i].is_tried = False
            _wait(upstream.links[i], 0)
            _open(upstream.links[i])


cdef void upstream_hurry(Loop* loop, void* server) noexcept nogil:
    cdef Upstream* upstream = loop.upstreams[(<int*>server)[0]]
    cdef int i
    for i in range(upstream.link_count):
        if upstream.links[i].stage == STAGE_WAITING:
            _due(upstream.links[i], loop.now)


cdef void upstream_settle(Loop* loop, void* server) noexcept nogil:
    cdef Upstream* upstream = loop.upstreams[(<int*>server)[0]]
    cdef LoopLink* link
    cdef int i
    for i in range(upstream.link_count):
        link = upstream.links[i]
        if link.stage == STAGE_CONNECTED and link.link.count > 0:
            link_end(link)


cdef void upstream_leave(Loop* loop, void* server) noexcept nogil:
    cdef Upstream* upstream = loop.upstreams[(<int*>server)[0]]
    cdef LoopLink* link
    cdef int i
    for i in range(upstream.link_count):
        link = upstream.links[i]
        if link.stage in (STAGE_CONNECTED, STAGE_CONNECTING):
            link_end(link)
        if link.link.state == LINK_CONNECTING:
            link_closed(link.link, loop.now)
        link.stage = STAGE_IDLE
        link.due = INFINITY


cdef void _look_at(LoopLink* link, LinkLook* out) noexcept nogil:
    out.stage = link.stage
    out.is_tried = link.is_tried
    out.unanswered = link.link.count
    out.greeting_size = link.link.greeting_size
    memcpy(out.greeting, link.link.greeting, link.link.greeting_size)
    out.port = -1
    if link.stage == STAGE_CONNECTED:
        out.port = mcroute_name_of(&link.name, out.host, sizeof(out.host))


cdef void upstream_look(Loop* loop, void* look) noexcept nogil:
    cdef Look* out = <Look*>look
    cdef Upstream* upstream = NULL
    cdef int i
    out.count = 0
    if out.server < loop.upstream_count:
        upstream = loop.upstreams[out.server]
    if upstream == NULL:
        return
    out.count = upstream.link_count
    for i in range(out.count):
        _look_at(upstream.links[i], &out.links[i])
