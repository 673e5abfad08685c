"""The link state machine, without the interpreter. It reports changes to the supervisor, which may close links.

A connection that is lost with writes in flight ejects its server at once. The link connects again only after the
supervisor has taken the report: the supervisor finds out whether the server can still execute those writes.

A link is connected when the server has answered the handshake; no request is sent before. While a server fails, only
one of its links in all engines of the proxy tries to connect at a time, after a growing backoff. When that link is
connected, the other links follow.
"""

from libc.errno cimport EMFILE, ENFILE, ENOBUFS, ENOMEM, ETIMEDOUT
from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset, strlen

from mcroute._engine.counters cimport counter_add
from mcroute._engine.lifetimes cimport (
    link_closed, link_connected, link_connecting, link_new, link_script, link_undo, link_withdrawn,
)
from mcroute._engine.links cimport link_silent_since, link_unanswered_writes
from mcroute._engine.state cimport LINK_CLOSED, LINK_CONNECTING, LINK_READY, Server, Text
from mcroute._engine.server_words cimport SERVER_UP, mcroute_more, word_eject, word_missed, word_state
from mcroute.runtime.sharing cimport (
    shared_fail, shared_failures, shared_restart, shared_retry_at, shared_retry_out_at, shared_trial_until,
    shared_tried, shared_try,
)

# A server that answers otherwise gets no requests: it is no memcached.
cdef const char* HELLO = b"version\r\n"
cdef const char* HELLO_PREFIX = b"VERSION "


# ---- reports ----

cdef void _report(Connector* link, uint32_t change) noexcept nogil:
    link.report.server = link.server
    link.report.index = link.index
    link.report.changes |= change
    if not link.is_reported:
        link.is_reported = True
        link.next_report = link.table.reports
        link.table.reports = link


cdef void _report_loss(Connector* link, int error) noexcept nogil:
    if not link.report.changes & CHANGE_LOST:
        link.report.missed = word_missed(link.link.server.word)
    link.report.lost_error = error
    _report(link, CHANGE_LOST)


cdef void _report_failure(Connector* link, int error, bint is_late) noexcept nogil:
    link.report.error = error
    link.report.is_late = is_late
    link.report.greeting_size = link.link.greeting_size
    memcpy(link.report.greeting, link.link.greeting, link.link.greeting_size)
    _report(link, CHANGE_FAILED)


cdef void links_report(LinkTable* table, Reports* out, double now) noexcept nogil:
    cdef Connector* link
    out.count = 0
    while table.reports != NULL and out.count < REPORTS_MAX:
        link = table.reports
        table.reports = link.next_report
        link.is_reported = False
        out.items[out.count] = link.report
        out.count += 1
        memset(&link.report, 0, sizeof(LinkReport))
        if link.stage == STAGE_HELD:
            _wait(link, now)


# ---- when the next attempt begins ----

cdef Upstream* _upstream(const Connector* link) noexcept nogil:
    return link.table.upstreams[link.server]


cdef void _due(Connector* link, double due) noexcept nogil:
    link.due = due
    link.table.due = min(link.table.due, due)


cdef double _chance(LinkTable* table) noexcept nogil:
    """In [0, 1), by Marsaglia's xorshift."""
    cdef uint64_t x = table.random
    x ^= x << 13
    x ^= x >> 7
    x ^= x << 17
    table.random = x
    return <double>(x >> 11) / <double>(<uint64_t>1 << 53)


cdef bint _goes_first(const Connector* link) noexcept nogil:
    """Whether the link connects without backoff: requests wait for it already, or the server does not fail."""
    return link.link.state == LINK_CONNECTING or shared_failures(_upstream(link).shared) == 0


cdef void _wait(Connector* link, double now) noexcept nogil:
    """Waits for the next attempt, which is due now if the link goes first."""
    cdef const Upstream* upstream = _upstream(link)
    link.stage = STAGE_WAITING
    if upstream.address_count == LOOKING_UP:
        link.due = INFINITY
    else:
        _due(link, now if _goes_first(link) else shared_retry_at(upstream.shared))


cdef void _wake(Upstream* upstream, double now) noexcept nogil:
    """Sets the time of the next attempt for all waiting links of the server."""
    cdef int i
    for i in range(upstream.link_count):
        if upstream.links[i].stage == STAGE_WAITING:
            _wait(upstream.links[i], now)


cdef void _end_trial(Connector* link) noexcept nogil:
    if link.is_trial:
        link.is_trial = False
        shared_tried(_upstream(link).shared)


cdef void _back_off(Connector* link, double now) noexcept nogil:
    """Exponential backoff, with jitter so that many proxies do not connect at once."""
    cdef Upstream* upstream = _upstream(link)
    cdef const Backoff* backoff = &upstream.backoff
    cdef double most = backoff.base * <double>(1 << min(shared_failures(upstream.shared) + 1, 16))
    cdef double part = 1.0 - 0.5 * _chance(link.table)
    # shared_fail counts only the first failure of a round.
    shared_fail(upstream.shared, now, now + min(most, backoff.cap) * part, now + min(most, backoff.cap_out) * part)
    _end_trial(link)
    link.stage = STAGE_WAITING
    _wake(upstream, now)


cdef bint _is_tried_by_another(const Upstream* upstream) noexcept nogil:
    cdef int i
    for i in range(upstream.link_count):
        if upstream.links[i].stage in (STAGE_CONNECTING, STAGE_GREETING):
            return True
    return False


cdef void _try_if_due(Connector* link, double now) noexcept nogil:
    cdef Upstream* upstream = _upstream(link)
    cdef SharedUpstream* shared = upstream.shared
    if upstream.address_count == LOOKING_UP:
        link.due = INFINITY
    elif _goes_first(link):
        _connect(link, now)
    elif now < shared_retry_at(shared):
        # Meanwhile a link of another engine has failed.
        link.due = shared_retry_at(shared)
    elif now < shared_retry_out_at(shared) and word_state(link.link.server.word) != SERVER_UP:
        link.due = min(now + upstream.backoff.cap, shared_retry_out_at(shared))
    elif not _is_tried_by_another(upstream):
        link.is_trial = shared_try(shared, now, now + upstream.timeout)
        if link.is_trial:
            _connect(link, now)
        else:
            # A trial ends by its time, so that a thread that hangs does not block the other threads' attempts.
            link.due = max(now, shared_trial_until(shared))
    # Else the end of the other link's attempt wakes this link.


# ---- one attempt ----

cdef bint _open(Connector* link, double now) noexcept nogil:
    """Lets requests wait for the connection, and queues the handshake. False without memory."""
    if link.link.state != LINK_CLOSED:
        return True
    link_connecting(link.link)
    if link_script(link.link, Text(<unsigned char*>HELLO, strlen(HELLO)),
                   Text(<unsigned char*>HELLO_PREFIX, strlen(HELLO_PREFIX))):
        return True
    link_withdrawn(link.link, now)
    return False


cdef int _try(Connector* link, int address, int error) noexcept nogil:
    """Begins to connect to this address or a later one. Returns 0, or the errno of the last address."""
    for address in range(address, _upstream(link).address_count):
        error = link.table.driver.connect(link, address)
        if error == 0:
            link.address = address
            return 0
    return error


cdef void _connect(Connector* link, double now) noexcept nogil:
    cdef int error
    if not _open(link, now):
        _failed(link, link.address, ENOMEM, False, now)
        return
    link.stage = STAGE_CONNECTING
    _due(link, now + _upstream(link).timeout)
    error = _try(link, link.address, NO_ADDRESS)
    if error != 0:
        _failed(link, 0, error, False, now)


cdef void _failed(Connector* link, int next_address, int error, bint is_late, double now) noexcept nogil:
    """Ends an attempt; the next one begins with the address `next_address`."""
    link.address = next_address if next_address < _upstream(link).address_count else 0
    link.is_tried = True
    if error in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
        link_withdrawn(link.link, now)
        _report(link, CHANGE_OUT_OF_RESOURCES)
    else:
        link_closed(link.link, now)
        _report_failure(link, error, is_late)
    _back_off(link, now)


cdef void _fail_attempt(Connector* link, bint is_late, double now) noexcept nogil:
    """Ends an attempt whose link is not connected in time, or at all; the next one begins with the next address."""
    cdef int error = ETIMEDOUT if link.stage == STAGE_CONNECTING else 0
    if link.stage == STAGE_GREETING and not is_late and not link.link.conn.is_broken:
        link.table.driver.drain(link, now)
    link.table.driver.close(link)
    _failed(link, link.address + 1, error, is_late, now)


cdef void link_made(Connector* link, double now) noexcept nogil:
    link.stage = STAGE_GREETING
    link_connected(link.link)


cdef void link_not_made(Connector* link, int error, double now) noexcept nogil:
    link.table.driver.close(link)
    error = _try(link, link.address + 1, error)
    if error != 0:
        _failed(link, 0, error, False, now)


cdef void link_received(Connector* link, double now) noexcept nogil:
    cdef LinkTable* table = link.table
    cdef Upstream* upstream = _upstream(link)
    if link.stage != STAGE_GREETING or link.link.state != LINK_READY:
        return
    link.is_tried = True
    link.stage = STAGE_CONNECTED
    link.address = max(link.address, 0)
    link.due = INFINITY
    link.is_trial = False
    if shared_failures(upstream.shared) > 0:
        shared_restart(upstream.shared)
        if table.signals != NULL:
            mcroute_more(&table.signals.restarts)
            table.wakes_others = True
    _wake(upstream, now)
    _report(link, CHANGE_CONNECTED)


# ---- the end of a connection ----

cdef void link_ended(Connector* link, int error, double now) noexcept nogil:
    cdef Server* server = link.link.server
    cdef uint32_t writes = link_unanswered_writes(link.link)
    if link.stage != STAGE_CONNECTED:
        _fail_attempt(link, False, now)
        return
    link.table.driver.close(link)
    server.lost_error = error
    if writes > 0:
        link.report.lost_writes = writes
        link.report.lost_end = link.end
        # Before link_closed discards the link's ghosts and fails its requests. Even a protected server is ejected:
        # it may hold old values, and the supervisor decides which server of the pool serves.
        if word_eject(server.word):
            counter_add(&link.table.engine.counts.ejections, 1)
        link_closed(link.link, now)
        _report_loss(link, error)
        link.stage = STAGE_HELD
        link.due = INFINITY
        return
    link_closed(link.link, now)
    _report_loss(link, error)
    if word_state(server.word) == SERVER_UP:
        # Requests wait meanwhile, so that the server misses no write. Without memory the next attempt opens the link.
        _open(link, now)
    _wait(link, now)


cdef void links_check(LinkTable* table, double now) noexcept nogil:
    cdef int i, j
    cdef Connector* link
    table.due = INFINITY
    for i in range(table.upstream_count):
        if table.upstreams[i] == NULL:
            continue
        for j in range(table.upstreams[i].link_count):
            link = table.upstreams[i].links[j]
            if link.due <= now:
                link.due = INFINITY
                if link.stage in (STAGE_CONNECTING, STAGE_GREETING):
                    _fail_attempt(link, True, now)
                elif link.stage == STAGE_WAITING:
                    _try_if_due(link, now)
            table.due = min(table.due, link.due)


cdef void links_restart(LinkTable* table, double now) noexcept nogil:
    cdef int i
    for i in range(table.upstream_count):
        if table.upstreams[i] != NULL and shared_failures(table.upstreams[i].shared) == 0:
            _wake(table.upstreams[i], now)


# ---- operations of the supervisor ----

cdef Upstream* links_upstream(LinkTable* table, int server) noexcept nogil:
    cdef int count = server + 1
    cdef Upstream** more
    if count > table.upstream_count:
        more = <Upstream**>realloc(table.upstreams, count * sizeof(Upstream*))
        if more == NULL:
            return NULL
        memset(more + table.upstream_count, 0, (count - table.upstream_count) * sizeof(Upstream*))
        table.upstreams = more
        table.upstream_count = count
    if table.upstreams[server] == NULL:
        table.upstreams[server] = <Upstream*>calloc(1, sizeof(Upstream))
    return table.upstreams[server]


cdef bint _add(LinkTable* table, int server) noexcept nogil:
    cdef Upstream* upstream = table.upstreams[server]
    cdef Connector* link = <Connector*>calloc(1, sizeof(Connector))
    if link == NULL:
        return False
    link.table = table
    link.server = server
    link.index = upstream.link_count
    link.due = INFINITY
    link.link = link_new(table.engine, table.engine.servers[server])
    if link.link == NULL:
        free(link)
        return False
    if not table.driver.attach(link):
        # The engine must not divide keys among links that nothing connects.
        link_undo(link.link)
        free(link)
        return False
    upstream.links[upstream.link_count] = link
    upstream.link_count += 1
    return True


cdef bint links_connect(LinkTable* table, const LinkSettings* settings, double now) noexcept nogil:
    cdef Upstream* upstream = links_upstream(table, settings.server)
    cdef Connector* link
    cdef int i
    if upstream == NULL:
        return False
    upstream.timeout = settings.timeout
    upstream.backoff = settings.backoff
    upstream.shared = settings.shared
    upstream.address_count = settings.address_count
    if settings.are_new:
        shared_restart(upstream.shared)
        _wake(upstream, now)
    while upstream.link_count < settings.count:
        if not _add(table, settings.server):
            return False
    for i in range(upstream.link_count):
        link = upstream.links[i]
        if settings.are_new or link.address >= upstream.address_count:
            # An attempt under way goes on with the address after this one.
            link.address = -1 if link.stage in (STAGE_CONNECTING, STAGE_GREETING) else 0
        if link.stage == STAGE_IDLE:
            link.is_tried = False
            _open(link, now)
            _wait(link, now)
    return True


cdef void links_abort_unsettled(LinkTable* table, int server, double now) noexcept nogil:
    cdef Upstream* upstream = table.upstreams[server]
    cdef int i
    for i in range(upstream.link_count):
        if upstream.links[i].stage == STAGE_CONNECTED and upstream.links[i].link.count > 0:
            link_ended(upstream.links[i], 0, now)


cdef void links_abort_silent(LinkTable* table, int server, double since, double now) noexcept nogil:
    cdef Upstream* upstream = table.upstreams[server]
    cdef int i
    for i in range(upstream.link_count):
        if upstream.links[i].stage == STAGE_CONNECTED and link_silent_since(upstream.links[i].link) < since:
            link_ended(upstream.links[i], 0, now)


cdef void links_disconnect(LinkTable* table, int server, double now) noexcept nogil:
    cdef Upstream* upstream = table.upstreams[server]
    cdef Connector* link
    cdef int i
    for i in range(upstream.link_count):
        link = upstream.links[i]
        if link.stage == STAGE_CONNECTED:
            link_ended(link, 0, now)
        elif link.stage in (STAGE_CONNECTING, STAGE_GREETING):
            # Not reported: the server has not failed.
            table.driver.close(link)
            _end_trial(link)
        if link.link.state != LINK_CLOSED:
            link_closed(link.link, now)
        link.is_tried = True
        link.stage = STAGE_IDLE
        link.due = INFINITY
    shared_restart(upstream.shared)


cdef void links_close(LinkTable* table, double now) noexcept nogil:
    cdef int i
    for i in range(table.upstream_count):
        if table.upstreams[i] != NULL:
            links_disconnect(table, i, now)


cdef void links_free(LinkTable* table) noexcept nogil:
    cdef Upstream* upstream
    cdef int i, j
    for i in range(table.upstream_count):
        upstream = table.upstreams[i]
        if upstream == NULL:
            continue
        for j in range(upstream.link_count):
            table.driver.detach(upstream.links[j])
            free(upstream.links[j])
        free(upstream)
    free(table.upstreams)
    table.upstreams = NULL
    table.upstream_count = 0
    table.reports = NULL


cdef void _look_at(const Connector* link, LinkLook* out) noexcept nogil:
    out.stage = link.stage
    out.is_tried = link.is_tried
    out.unanswered = link.link.count
    out.answered = link.link.head
    out.greeting_size = link.link.greeting_size
    memcpy(out.greeting, link.link.greeting, link.link.greeting_size)
    out.end = link.end
    out.end.is_known = link.end.is_known and link.stage == STAGE_CONNECTED


cdef void links_look(LinkTable* table, Look* look) noexcept nogil:
    cdef Upstream* upstream = NULL
    cdef int i
    look.count = 0
    if look.server < table.upstream_count:
        upstream = table.upstreams[look.server]
    if upstream == NULL:
        return
    look.count = upstream.link_count
    for i in range(look.count):
        _look_at(upstream.links[i], &look.links[i])
