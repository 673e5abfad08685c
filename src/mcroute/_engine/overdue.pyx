"""Finds overdue requests, and decides whether the server, the network or nobody is at fault."""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t, uint64_t

from mcroute._engine.beginnings cimport claims_resume, engine_resume
from mcroute._engine.blocks cimport Slice
from mcroute._engine.claims cimport claims_due
from mcroute._engine.clock cimport engine_began
from mcroute._engine.counters cimport counter_add
from mcroute._engine.custom cimport routes_check
from mcroute._engine.deadlines cimport deadlines_next
from mcroute._engine.dirty cimport conn_break
from mcroute._engine.hedges cimport link_hedge, link_hedge_due
from mcroute._engine.links cimport (
    command_changes, link_expected, link_make_ghosts, link_oldest, link_orphan, link_measure_rate, link_silent_since,
)
from mcroute._engine.multigets cimport multiget_may_move
from mcroute._engine.refills cimport refills_run
from mcroute._engine.retries cimport retry_is_refused
from mcroute._engine.state cimport (
    CARRY_OUT, GROUP_LAST_READ, LINK_READY, NODE_ALL, NODE_BACKUP, NODE_PYTHON, NODE_THEN, OUTCOME_COUNT, TIMEOUT, UNDO,
    ClientRequest, Link, PlanNode, PlanPool, Server, Walk,
)
from mcroute._engine.trips cimport server_count_failures, server_fail_over, server_trip
from mcroute._engine.walks cimport walk_end, walk_expire
from mcroute._engine.server_words cimport SERVER_UP, word_state

cdef enum:
    NETWORK_TIMEOUTS = 4        # reply timeouts of silence before a trip, if no server of the pool answers

cdef double ESTIMATE_MARGIN = 1.25  # factor by which replies may come later than estimated

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef void _time_out(Link* link, Walk* walk) noexcept nogil:
    cdef Engine* engine = link.conn.engine
    cdef Server* before = engine.late_server
    link_orphan(walk)
    engine.late_server = link.server
    walk_end(walk, TIMEOUT, NOTHING)
    engine.late_server = before


# ---- is it the server, or the network? ----

cdef bint _is_silent_too(Server* server, double since) noexcept nogil:
    """Whether the server owes replies, and has made no progress since; False also if it owes none."""
    cdef bint is_owing = False
    cdef Link* link
    cdef int i
    for i in range(server.link_count):
        link = server.links[i]
        if link.progress_at > since:
            return False
        is_owing = is_owing or (link.count > 0 and link_oldest(link).sent_at <= since)
    return is_owing


cdef bint _is_in(Server* server, const PlanPool* pool) noexcept nogil:
    cdef int i
    for i in range(pool.size):
        if pool.server_ids[i] == server.id:
            return True
    return False


cdef bint _answers(Server* server, double since) noexcept nogil:
    cdef int i
    for i in range(server.link_count):
        if server.links[i].progress_at > since:
            return True
    return False


cdef bint _is_the_network(Engine* engine, Server* server, double since) noexcept nogil:
    """Whether other servers of its pools are silent too, and no server in service has answered since then.

    Then the network is more likely at fault: with one ejection after the other, each server would only miss the writes
    that the others get.
    """
    cdef PlanPool* pool
    cdef Server* other
    cdef bint is_shared = False
    cdef int i, j
    for i in range(engine.plan.pool_count):
        pool = &engine.plan.pools[i]
        if pool.size == 1 or not _is_in(server, pool):
            continue
        for j in range(pool.size):
            other = engine.servers[pool.server_ids[j]]
            if other == server or word_state(other.word) != SERVER_UP:
                continue
            if _answers(other, since):
                return False
            is_shared = is_shared or _is_silent_too(other, since)
    return is_shared


# ---- other servers for an ask ----

# The ask is overdue at a slow server: whether to end it, and ask another server. True if the plan has a next one, the
# reply is not expected in time and the budget lasts, or below a route in Python; not for writes that must run once.
cdef bint _may_move(Walk* walk, Server* server, bint comes_in_time) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef Walk* parent = walk.parent
    cdef PlanNode* node
    if request.is_done and not walk.is_detached:
        return False
    if walk.is_group:
        return not comes_in_time and multiget_may_move(walk) and not retry_is_refused(request.plan.engine, server)
    while parent != NULL:
        node = &request.plan.nodes[parent.node]
        if node.kind == NODE_PYTHON:
            return True
        if (node.kind == NODE_ALL or node.stops_late or (node.kind == NODE_BACKUP and parent.cursor != 0)
                or (node.kind == NODE_THEN and (request.group > GROUP_LAST_READ or walk.purpose != CARRY_OUT))):
            return False
        if parent.children_asked < node.child_count:
            return not comes_in_time and not retry_is_refused(request.plan.engine, server)
        parent = parent.parent
    return False


# The request's deadline has come: whether the request has an answer without this ask.
cdef bint _is_awaited_last(Walk* walk) noexcept nogil:
    cdef Walk* parent = walk.parent
    if parent == NULL or walk.request.is_done:
        return False
    return walk.purpose == UNDO or (walk.request.plan.nodes[parent.node].kind == NODE_ALL
                                    and parent.cursor == 0 and parent.good > 0)


# ---- a link's requests ----

cdef double _orphans_due(Link* link) noexcept nogil:
    """The time to close the link because of its orphans: infinity without orphans, 0 if there are too many."""
    cdef Engine* engine = link.conn.engine
    if link.orphans == 0:
        return INFINITY
    if link.orphans > engine.orphans_max:
        return 0
    if link.state != LINK_READY:
        # The driver times out connecting and the handshake; they may have begun before the engine had a time.
        return INFINITY
    # Replies come in order: no orphan is older than the oldest request, and none is answered before it.
    return link_oldest(link).sent_at + engine.orphan_age


cdef bint _see_overdue(Link* link, double now) noexcept nogil:
    """Counts the overdue requests. Whether a walk waits for one of them."""
    while link.overdue < link.count and link_expected(link, link.overdue).sent_at + link.server.reply_timeout <= now:
        link.waiting += link_expected(link, link.overdue).walk != NULL
        link.overdue += 1
    return link.waiting > 0


cdef uint32_t _first_waiting(Link* link, uint32_t place) noexcept nogil:
    """The place of the first request from `place` on for which a walk waits; link.count if there is none."""
    while place < link.count and link_expected(link, place).walk == NULL:
        place += 1
    return place


cdef void _fail(Link* link, double now) noexcept nogil:
    """Fails the overdue requests of a silent link: each is a failure of the server.

    The failures are counted before any request fails over: if they eject the server, all its requests fail over
    together, and cost nothing of the retry budget.
    """
    cdef Server* server = link.server
    cdef double timeout = server.reply_timeout
    cdef double since
    cdef uint32_t i
    if not _see_overdue(link, now):
        return
    since = link_silent_since(link)
    counter_add(&server.counts.timeouts, link.waiting)
    server_count_failures(server, link.waiting)
    if word_state(server.word) != SERVER_UP:
        server_fail_over(server)
    elif server.failures >= server.trip_after and (
            now >= since + NETWORK_TIMEOUTS * timeout
            or not _is_the_network(link.conn.engine, server, since + 0.5 * timeout)):
        server_trip(server)
    for i in range(link.overdue):
        if link.waiting > 0 and link_expected(link, i).walk != NULL:
            _time_out(link, link_expected(link, i).walk)


cdef bint _comes_in_time(Link* link, uint32_t place, double now) noexcept nogil:
    """Whether the reply is expected within the request's deadline, at the present rate of replies."""
    cdef uint32_t answered = link.head - link.rate_head
    cdef double expected_in
    if answered == 0:
        return False
    expected_in = (now - link.rate_since) / answered * (place + 1)
    return now + ESTIMATE_MARGIN * expected_in <= link_expected(link, place).walk.request.deadline.at


cdef void _check_slow(Link* link, double now) noexcept nogil:
    """The server is slow: asks another server once for replies that would come too late; other requests wait.

    To ask twice for replies that come in time would double the load of servers that are loaded already.
    """
    cdef Engine* engine = link.conn.engine
    cdef double limit = max(link.server.reply_timeout, engine.plan.deadline)
    cdef uint32_t place = link.overdue
    cdef Walk* walk
    _see_overdue(link, now)
    while place < link.overdue:
        walk = link_expected(link, place).walk
        if walk != NULL and _may_move(walk, link.server, _comes_in_time(link, place, now)):
            counter_add(&link.server.counts.timeouts, 1)
            _time_out(link, walk)
        place += 1
    if now >= link.rate_since + 2 * link.server.reply_timeout:
        link_measure_rate(link)
    place = 0
    while link.waiting > 0:
        place = _first_waiting(link, place)
        if link_expected(link, place).sent_at + limit > now:
            break
        counter_add(&link.server.counts.timeouts, 1)
        _time_out(link, link_expected(link, place).walk)


# Ends the asks on the link whose requests have reached their deadline, and have an answer without these asks. With
# `are_all_looked_at` also asks that are not overdue, because their request had waited before.
cdef void _expire_link(Link* link, double now, bint are_all_looked_at) noexcept nogil:
    cdef Walk* walk
    cdef uint32_t i = 0
    while i < link.count and (are_all_looked_at or (i < link.overdue and link.waiting > 0)):
        walk = link_expected(link, i).walk
        i += 1
        if walk != NULL and walk.request.deadline.at <= now and _is_awaited_last(walk):
            counter_add(&link.server.counts.timeouts, 1)
            _time_out(link, walk)


cdef double _next_due(Link* link) noexcept nogil:
    cdef double timeout = link.server.reply_timeout
    cdef double due = INFINITY
    cdef uint32_t place
    if link.waiting > 0:
        due = min(link.progress_at + timeout,
                  link_expected(link, _first_waiting(link, 0)).sent_at + max(timeout, link.conn.engine.plan.deadline))
    place = _first_waiting(link, link.overdue)
    return due if place == link.count else min(due, link_expected(link, place).sent_at + timeout)


# Ends overdue asks on the link; returns the time of the next check.
cdef double _check_link(Link* link, double now) noexcept nogil:
    cdef double orphans_due
    cdef bint is_hedged = link.server.hedge_after > 0
    if is_hedged:
        link_hedge(link, now)
    if link.progress_at + link.server.reply_timeout <= now:
        _fail(link, now)
    else:
        _check_slow(link, now)
    orphans_due = _orphans_due(link)
    # Closes the link although live requests may wait on it: most of them stand behind the orphans.
    if orphans_due <= now and not link.conn.is_broken:
        conn_break(&link.conn)
    if link.conn.is_broken:
        return _next_due(link)
    return min(_next_due(link), orphans_due, link_hedge_due(link, now) if is_hedged else INFINITY)


# ---- an engine's ----

cdef uint64_t _failovers(Engine* engine) noexcept nogil:
    cdef uint64_t total = 0
    cdef int outcome
    for outcome in range(OUTCOME_COUNT):
        total += engine.counts.failovers[outcome]
    return total


cdef void _make_ghosts(Engine* engine) noexcept nogil:
    """Makes ghosts of requests that have reached their deadline, but still wait on a link."""
    cdef int i, j
    for i in range(engine.server_count):
        for j in range(engine.servers[i].link_count):
            link_make_ghosts(engine.servers[i].links[j])


cdef bint _expire(Engine* engine, double now) noexcept nogil:
    """Answers requests whose deadline has come. Whether any of them may change something."""
    cdef ClientRequest* request = <ClientRequest*>engine.requests.first
    cdef Link* link
    cdef bint may_leave_ghosts = False
    cdef int i, j
    while request != NULL and request.deadline.at <= now and not may_leave_ghosts:
        may_leave_ghosts = command_changes(request.view.command)
        request = <ClientRequest*>request.deadline.next
    for i in range(engine.server_count):
        for j in range(engine.servers[i].link_count):
            link = engine.servers[i].links[j]
            if may_leave_ghosts or link.waiting > 0:
                _expire_link(link, now, may_leave_ghosts)
    while deadlines_next(&engine.requests) <= now:
        walk_expire(<ClientRequest*>engine.requests.first)
    return may_leave_ghosts


cdef void engine_check(Engine* engine, double now) noexcept nogil:
    cdef double due
    cdef double earliest = INFINITY
    cdef uint64_t failovers = _failovers(engine)
    cdef bint may_leave_ghosts = False
    cdef bint has_waited = engine.waiting != NULL
    cdef int i, j
    engine.now = now
    for i in range(engine.server_count):
        for j in range(engine.servers[i].link_count):
            due = _check_link(engine.servers[i].links[j], now)
            if due < earliest:
                earliest = due
    if deadlines_next(&engine.requests) <= now:
        may_leave_ghosts = _expire(engine, now)
    if may_leave_ghosts:
        _make_ghosts(engine)
    if has_waited:
        claims_resume(engine)
    engine.next_check = min(earliest, deadlines_next(&engine.requests), routes_check(engine, now), claims_due(engine))
    engine_resume(engine, now)
    if has_waited or _failovers(engine) != failovers:
        # A request may wait now on a server that the loop above had checked already.
        engine_began(engine, now)
    refills_run(engine)
