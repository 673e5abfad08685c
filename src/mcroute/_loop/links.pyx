"""A link's life, without the interpreter; the supervisor hears of it and may say more.

A connection that is lost with writes under way takes its server out of service at once, and is made again only
when the supervisor has taken note: whether those writes can still be executed is for it to find out.

A connection is made when the server has answered the handshake; nothing else is sent before. While a server fails, one
of its links at a time, in all loops of the proxy, tries again, after a time that grows; when that one is connected the
others follow.
"""

from libc.errno cimport ETIMEDOUT, errno
from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset, strlen

from mcroute._engine.counters cimport counter_add
from mcroute._engine.lifetimes cimport (
    link_closed, link_connected, link_connecting, link_new, link_script, link_withdrawn,
)
from mcroute._engine.links cimport link_unanswered_writes
from mcroute._engine.state cimport LINK_CLOSED, LINK_CONNECTING, LINK_READY, Server, Text
from mcroute._engine.trips cimport link_silent_since
from mcroute._engine.words cimport SERVER_UP, mcroute_more, word_eject, word_missed, word_state
from mcroute._loop.endpoints cimport (
    endpoint_close, endpoint_flush, endpoint_open, endpoint_receive, endpoint_watch,
)
from mcroute._loop.sharing cimport (
    SharedUpstream, shared_fail, shared_failures, shared_restart, shared_retry_at, shared_retry_out_at,
    shared_trial_until, shared_tried, shared_try,
)
from mcroute._loop.state cimport (
    ADDRESSES_MAX, CHANGE_CONNECTED, CHANGE_FAILED, CHANGE_LOST, CHANGE_STARVED, END_LINK, NO_ADDRESS,
    STAGE_CONNECTED, STAGE_CONNECTING, STAGE_GREETING, STAGE_HELD, STAGE_IDLE, STAGE_WAITING, Upstream,
)
from mcroute._loop.system cimport (
    EMFILE, ENFILE, ENOBUFS, ENOMEM, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, close, mcroute_connect,
    mcroute_name_of, mcroute_own_name, mcroute_socket_error,
)

cdef double RETRY_BASE = 0.05   # seconds
cdef double RETRY_CAP = 2.0
# While the server is out of service the supervisor finds out when it answers again, and hurries its links.
cdef double RETRY_CAP_OUT = 30.0

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
    link.report.lost_error = link.end.error
    _report(link, CHANGE_LOST)


cdef void _report_failure(LoopLink* link, int error, bint is_late) noexcept nogil:
    link.report.error = error
    link.report.is_late = is_late
    link.report.greeting_size = link.link.greeting_size
    memcpy(link.report.greeting, link.link.greeting, link.link.greeting_size)
    _report(link, CHANGE_FAILED)


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
            _wait(link)


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


cdef bint _goes_first(LoopLink* link) noexcept nogil:
    """Requests wait for its connection already: they are to fail as soon as that does, whatever others have found."""
    return link.link.state == LINK_CONNECTING or shared_failures(_upstream(link).shared) == 0


cdef void _wait(LoopLink* link) noexcept nogil:
    """For the next attempt; at once while the server does not fail."""
    link.stage = STAGE_WAITING
    _due(link, link.end.loop.now if _goes_first(link) else shared_retry_at(_upstream(link).shared))


cdef void _wake(Loop* loop, Upstream* upstream) noexcept nogil:
    """Links that wait try again when the next round begins."""
    cdef int i
    for i in range(upstream.link_count):
        if upstream.links[i].stage == STAGE_WAITING:
            _wait(upstream.links[i])


cdef void _end_trial(LoopLink* link) noexcept nogil:
    if link.is_trial:
        link.is_trial = False
        shared_tried(_upstream(link).shared)


cdef void _back_off(LoopLink* link) noexcept nogil:
    """Longer each time, with jitter so that many proxies do not come at once."""
    cdef Loop* loop = link.end.loop
    cdef Upstream* upstream = _upstream(link)
    cdef double most = RETRY_BASE * <double>(1 << min(shared_failures(upstream.shared) + 1, 16))
    cdef double part = 1.0 - 0.5 * _chance(loop)
    # Only the first failure of a round counts.
    shared_fail(upstream.shared, loop.now, loop.now + min(most, RETRY_CAP) * part,
                loop.now + min(most, RETRY_CAP_OUT) * part)
    _end_trial(link)
    link.stage = STAGE_WAITING
    _wake(loop, upstream)


cdef bint _is_tried_by_another(Upstream* upstream) noexcept nogil:
    cdef int i
    for i in range(upstream.link_count):
        if upstream.links[i].stage in (STAGE_CONNECTING, STAGE_GREETING):
            return True
    return False


cdef void _try_if_due(LoopLink* link) noexcept nogil:
    cdef Upstream* upstream = _upstream(link)
    cdef SharedUpstream* shared = upstream.shared
    cdef double now = link.end.loop.now
    if _goes_first(link):
        _connect(link)
    elif now < shared_retry_at(shared):
        # A link of another loop has failed meanwhile.
        link.due = shared_retry_at(shared)
    elif now < shared_retry_out_at(shared) and word_state(link.link.server.word) != SERVER_UP:
        link.due = min(now + RETRY_CAP, shared_retry_out_at(shared))
    elif not _is_tried_by_another(upstream):
        link.is_trial = shared_try(shared, now, now + upstream.timeout)
        if link.is_trial:
            _connect(link)
        else:
            # A loop that hangs does not keep the others from it.
            link.due = max(now, shared_trial_until(shared))
    # Else it is woken when the other link knows.


cdef void _open(LoopLink* link) noexcept nogil:
    """From here on requests wait for the connection."""
    if link.link.state == LINK_CLOSED:
        link_connecting(link.link)
        link_script(link.link, Text(<unsigned char*>HELLO, strlen(HELLO)),
                    Text(<unsigned char*>HELLO_PREFIX, strlen(HELLO_PREFIX)))


cdef int _try(LoopLink* link, int address, int error) noexcept nogil:
    """Begins to connect to this address, or a later one of the same server. 0, or why the last one failed."""
    cdef Upstream* upstream = _upstream(link)
    cdef int fd
    for address in range(address, upstream.address_count):
        fd = mcroute_connect(&upstream.addresses[address].name, upstream.addresses[address].size)
        if fd < 0:
            error = errno
            continue
        if endpoint_open(&link.end, link.end.loop, END_LINK, fd, &link.link.conn, EPOLLOUT):
            link.address = address
            return 0
        error = errno
        close(fd)
    return error


cdef void _connect(LoopLink* link) noexcept nogil:
    cdef int error
    _open(link)
    link.stage = STAGE_CONNECTING
    _due(link, link.end.loop.now + _upstream(link).timeout)
    error = _try(link, link.address, NO_ADDRESS)
    if error != 0:
        _failed(link, 0, error, False)


cdef void _failed(LoopLink* link, int next_address, int error, bint is_late) noexcept nogil:
    """The next attempt begins with that address."""
    link.address = next_address if next_address < _upstream(link).address_count else 0
    link.is_tried = True
    if error in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
        link_withdrawn(link.link, link.end.loop.now)
        _report(link, CHANGE_STARVED)
    else:
        link_closed(link.link, link.end.loop.now)
        _report_failure(link, error, is_late)
    _back_off(link)


cdef void _greet(LoopLink* link) noexcept nogil:
    """Connected: the handshake goes out at the end of this turn."""
    link.stage = STAGE_GREETING
    mcroute_own_name(link.end.fd, &link.name)
    endpoint_watch(&link.end, EPOLLIN)
    link_connected(link.link)


cdef void _connected(LoopLink* link) noexcept nogil:
    cdef Upstream* upstream = _upstream(link)
    link.is_tried = True
    link.stage = STAGE_CONNECTED
    link.due = INFINITY
    link.is_trial = False
    if shared_failures(upstream.shared) > 0:
        shared_restart(upstream.shared)
        mcroute_more(&link.end.loop.signals.restarts)
        link.end.loop.wakes_others = True
    _wake(link.end.loop, upstream)
    _report(link, CHANGE_CONNECTED)


cdef void link_ready(LoopLink* link, uint32_t events) noexcept nogil:
    cdef int error
    if link.stage == STAGE_CONNECTING:
        error = mcroute_socket_error(link.end.fd)
        if error == 0:
            _greet(link)
            return
        endpoint_close(&link.end)
        error = _try(link, link.address + 1, error)
        if error != 0:
            _failed(link, 0, error, False)
        return
    if events & EPOLLOUT and not endpoint_flush(&link.end):
        link_end(link)
        return
    if events & EPOLLIN:
        if not endpoint_receive(&link.end):
            link_end(link)
        elif link.stage == STAGE_GREETING and link.link.state == LINK_READY:
            _connected(link)
    elif events & (EPOLLERR | EPOLLHUP):
        link.end.error = mcroute_socket_error(link.end.fd)
        link_end(link)


cdef void _not_made(LoopLink* link, bint is_late) noexcept nogil:
    """Another address may do better than one that took too long, or refused the handshake."""
    cdef int error = ETIMEDOUT if link.stage == STAGE_CONNECTING else 0
    if link.stage == STAGE_GREETING and not is_late and not link.link.conn.is_broken:
        # It may have said why before it closed the connection.
        endpoint_receive(&link.end)
    endpoint_close(&link.end)
    _failed(link, link.address + 1, error, is_late)


cdef void link_end(LoopLink* link) noexcept nogil:
    cdef Loop* loop = link.end.loop
    cdef Server* server = link.link.server
    cdef uint32_t writes = link_unanswered_writes(link.link)
    if link.stage != STAGE_CONNECTED:
        _not_made(link, False)
        return
    endpoint_close(&link.end)
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
    if word_state(server.word) == SERVER_UP:
        # So that the server misses nothing.
        _open(link)
    _wait(link)


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
                if link.stage in (STAGE_CONNECTING, STAGE_GREETING):
                    _not_made(link, True)
                elif link.stage == STAGE_WAITING:
                    _try_if_due(link)
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


cdef bint _readdress(Upstream* upstream, Wish* wanted) noexcept nogil:
    """Whether these are other addresses than before."""
    cdef int count = min(wanted.address_count, <int>ADDRESSES_MAX)
    cdef size_t size = count * sizeof(Address)
    if upstream.address_count == count and memcmp(upstream.addresses, wanted.addresses, size) == 0:
        return False
    upstream.address_count = count
    memcpy(upstream.addresses, wanted.addresses, size)
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
    upstream.shared = wanted.shared
    if _readdress(upstream, wanted):
        shared_restart(upstream.shared)
        _wake(loop, upstream)
    while upstream.link_count < wanted.count:
        if not _add_link(loop, wanted.server):
            wanted.is_done = False
            return
    for i in range(upstream.link_count):
        if upstream.links[i].address >= upstream.address_count:
            upstream.links[i].address = 0
        if upstream.links[i].stage == STAGE_IDLE:
            upstream.links[i].is_tried = False
            _open(upstream.links[i])
            _wait(upstream.links[i])


cdef void upstream_settle(Loop* loop, void* server) noexcept nogil:
    cdef Upstream* upstream = loop.upstreams[(<int*>server)[0]]
    cdef LoopLink* link
    cdef int i
    for i in range(upstream.link_count):
        link = upstream.links[i]
        if link.stage == STAGE_CONNECTED and link.link.count > 0:
            link_end(link)


cdef void upstream_drop_silent(Loop* loop, void* silence) noexcept nogil:
    cdef Silence* asked = <Silence*>silence
    cdef Upstream* upstream = loop.upstreams[asked.server]
    cdef LoopLink* link
    cdef int i
    for i in range(upstream.link_count):
        link = upstream.links[i]
        if link.stage == STAGE_CONNECTED and link_silent_since(link.link) < asked.since:
            link_end(link)


cdef void upstream_leave(Loop* loop, void* server) noexcept nogil:
    cdef Upstream* upstream = loop.upstreams[(<int*>server)[0]]
    cdef LoopLink* link
    cdef int i
    for i in range(upstream.link_count):
        link = upstream.links[i]
        if link.stage in (STAGE_CONNECTED, STAGE_CONNECTING, STAGE_GREETING):
            link_end(link)
        if link.link.state == LINK_CONNECTING:
            link_closed(link.link, loop.now)
        link.stage = STAGE_IDLE
        link.due = INFINITY
    shared_restart(upstream.shared)


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


cdef void upstreams_look(Loop* loop, void* looks) noexcept nogil:
    cdef Looks* out = <Looks*>looks
    cdef int i
    for i in range(out.count):
        upstream_look(loop, &out.items[i])


# ---- signals ----

cdef void upstreams_restart(Loop* loop) noexcept nogil:
    cdef int i
    for i in range(loop.upstream_count):
        if loop.upstreams[i] != NULL and shared_failures(loop.upstreams[i].shared) == 0:
            _wake(loop, loop.upstreams[i])
