"""When a request is overdue, and whose fault that is."""

from libc.math cimport INFINITY

from mcroute._engine.answers cimport conn_break
from mcroute._engine.blocks cimport Slice, out_cut
from mcroute._engine.combining cimport walk_is_awaited_last, walk_may_move
from mcroute._engine.counters cimport counter_add
from mcroute._engine.links cimport link_advance, link_arrived, link_oldest, link_orphan, link_pace
from mcroute._engine.state cimport (
    EJECTED, LINK_CONNECTING, LINK_GREETING, LINK_READY, TIMEOUT, Engine, Expected, PlanPool, Walk,
)
from mcroute._engine.walks cimport walk_end
from mcroute._engine.words cimport (
    SERVER_EJECTED, SERVER_UP, SPARED, word_miss, word_outs, word_state, word_trip, word_ups,
)

cdef double CAUTION = 1.25      # replies come later than expected by so much

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef inline Expected* _at(Link* link, uint32_t place) noexcept nogil:
    return &link.ring[(link.head + place) & (link.slots - 1)]


cdef void _time_out(Link* link, Walk* walk) noexcept nogil:
    cdef Engine* engine = link.conn.engine
    cdef Server* before = engine.late_server
    link_orphan(walk)
    engine.late_server = link.server
    walk_end(walk, TIMEOUT, NOTHING)
    engine.late_server = before


# ---- the trip rule ----

cdef bint _is_silent_too(Server* server, double since) noexcept nogil:
    """Whether it owes replies, and has shown no sign of life since; False also where nothing can be said."""
    cdef bint is_owing = False
    cdef Link* link
    cdef int i
    for i in range(server.link_count):
        link = server.links[i]
        if link.heard_at > since:
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
        if server.links[i].heard_at > since:
            return True
    return False


cdef bint _is_the_network(Engine* engine, Server* server, double since) noexcept nogil:
    """Others of its pools are silent too, and none that serves has answered since then.

    What is between us and them is then more likely at fault, and to eject one after the other would only make
    each miss the writes that the others get.
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


cdef void _trip(Server* server) noexcept nogil:
    cdef Engine* engine = server.links[0].conn.engine
    cdef int tripped = word_trip(server.word)
    if tripped == SERVER_EJECTED:
        counter_add(&server.counts.trips, 1)
        counter_add(&engine.counts.ejections, 1)
    elif tripped == SPARED:
        counter_add(&engine.counts.spared, 1)
    # Also if another thread's engine has ejected it.
    server_fail_over(server)


cdef void _count_failures(Server* server, uint32_t more) noexcept nogil:
    cdef uint64_t ups = word_ups(server.word)
    if ups != server.ups_seen:
        # Failures from before it was put into service are forgotten, in each engine when it counts the next.
        server.ups_seen = ups
        server.failures = 0
    counter_add(&server.counts.failed, more)
    server.failures += more


cdef void server_failed(Server* server) noexcept nogil:
    _count_failures(server, 1)
    if server.failures >= server.trip_after:
        _trip(server)


cdef void server_missed(Server* server, Engine* engine) noexcept nogil:
    counter_add(&server.counts.missed_writes, 1)
    if word_miss(server.word):
        counter_add(&server.counts.drops, 1)
        counter_add(&engine.counts.ejections, 1)


cdef void server_fail_over(Server* server) noexcept nogil:
    cdef uint64_t outs = word_outs(server.word)
    cdef Engine* engine
    cdef bint before
    cdef int i
    if outs == server.outs_seen or word_state(server.word) == SERVER_UP:
        return
    server.outs_seen = outs
    if server.link_count == 0:
        return
    # All at once, and no more than was in flight when it went out: no retry storm can come of that.
    engine = server.links[0].conn.engine
    before = engine.is_failing_over
    engine.is_failing_over = True
    for i in range(server.link_count):
        _drop_expected(server.links[i])
    engine.is_failing_over = before


cdef void link_drop_oldest(Link* link, int outcome) noexcept nogil:
    cdef Walk* walk = link_oldest(link).walk
    counter_add(&link.server.counts.dropped, link_oldest(link).step == 0)
    if walk == NULL and link_oldest(link).is_copied:
        # Before it is no ghost any more, which it is for the engines of other threads.
        server_missed(link.server, link.conn.engine)
    link_arrived(link)
    if walk != NULL:
        walk_end(walk, outcome, NOTHING)


cdef void _drop_unsent(Link* link) noexcept nogil:
    """What waits for the end of the handshake is not sent any more."""
    cdef uint32_t left = 0
    cdef uint32_t i
    out_cut(&link.conn.out, link.script_unsent)
    # Counted anew: requests overtake the handshake's replies.
    link.overdue = 0
    link.waiting = 0
    for i in range(link.count):
        left += _at(link, i).step == 0
    # Not what comes meanwhile, from walks that end here.
    while left > 0 and link_advance(link):
        link_drop_oldest(link, EJECTED)
        left -= 1


cdef void _drop_expected(Link* link) noexcept nogil:
    """What waits on an ejected server fails over now; its replies are dropped if they ever come."""
    cdef uint32_t i
    cdef Walk* walk
    if link.state in (LINK_CONNECTING, LINK_GREETING):
        _drop_unsent(link)
        return
    for i in range(link.count):
        walk = _at(link, i).walk
        if walk != NULL:
            link_orphan(walk)
            walk_end(walk, TIMEOUT, NOTHING)


# ---- a link's requests that are overdue ----

cdef double _orphans_due(Link* link) noexcept nogil:
    """When the link is given up: a server that answers nothing for so long will not answer in step again."""
    cdef Engine* engine = link.conn.engine
    if link.orphans == 0:
        return INFINITY
    if link.orphans > engine.orphans_max:
        return 0
    if link.state != LINK_READY:
        # Connecting and the handshake have a timeout of the driver's; they may have begun when no time was known yet.
        return INFINITY
    # Behind an orphan at the front the others are younger; behind a live one it is not too old either.
    return link_oldest(link).sent_at + engine.orphan_age


cdef bint _see_overdue(Link* link, double now) noexcept nogil:
    """Whether somebody waits for a reply that is overdue."""
    while link.overdue < link.count and _at(link, link.overdue).sent_at + link.server.reply_timeout <= now:
        link.waiting += _at(link, link.overdue).walk != NULL
        link.overdue += 1
    return link.waiting > 0


cdef uint32_t _first_waiting(Link* link, uint32_t place) noexcept nogil:
    """The place of the first request from there on that somebody waits for; `count` if there is none."""
    while place < link.count and _at(link, place).walk == NULL:
        place += 1
    return place


cdef void _fail(Link* link, double now) noexcept nogil:
    """The link is silent: what is overdue on it are failures of the server, which come at once.

    They are counted before any of them goes on elsewhere: if the server goes out by them, all that waits for it
    goes on together, and costs nothing of the retry budget.
    """
    cdef Server* server = link.server
    cdef double timeout = server.reply_timeout
    cdef double since
    cdef uint32_t i
    if not _see_overdue(link, now):
        return
    since = link_silent_since(link)
    counter_add(&server.counts.timeouts, link.waiting)
    _count_failures(server, link.waiting)
    if word_state(server.word) != SERVER_UP:
        server_fail_over(server)
    elif server.failures >= server.trip_after and (
            now >= since + NETWORK_TIMEOUTS * timeout
            or not _is_the_network(link.conn.engine, server, since + 0.5 * timeout)):
        _trip(server)
    for i in range(link.overdue):
        if link.waiting > 0 and _at(link, i).walk != NULL:
            _time_out(link, _at(link, i).walk)


cdef bint _comes_in_time(Link* link, uint32_t place, double now) noexcept nogil:
    """Whether the reply is expected within the request's deadline, if replies go on to come as fast as they do."""
    cdef uint32_t answered = link.head - link.paced_head
    cdef double expected_in
    if answered == 0:
        return False
    expected_in = (now - link.paced_at) / answered * (place + 1)
    return now + CAUTION * expected_in <= _at(link, place).walk.request.deadline.at


cdef void _overstay(Link* link, double now) noexcept nogil:
    """The server is slow. What comes too late, and can be asked of another server, is, once; the rest waits.

    To ask twice for what comes in time would double the load of servers that have enough of it.
    """
    cdef Engine* engine = link.conn.engine
    cdef double limit = max(link.server.reply_timeout, engine.plan.deadline)
    cdef uint32_t place = link.overdue
    cdef Walk* walk
    _see_overdue(link, now)
    while place < link.overdue:
        walk = _at(link, place).walk
        if walk != NULL and walk_may_move(walk, link.server, _comes_in_time(link, place, now)):
            counter_add(&link.server.counts.timeouts, 1)
            _time_out(link, walk)
        place += 1
    if now >= link.paced_at + 2 * link.server.reply_timeout:
        link_pace(link)
    place = 0
    while link.waiting > 0:
        place = _first_waiting(link, place)
        if _at(link, place).sent_at + limit > now:
            break
        counter_add(&link.server.counts.timeouts, 1)
        _time_out(link, _at(link, place).walk)


cdef void link_expire(Link* link, double now, bint are_all_looked_at) noexcept nogil:
    cdef Walk* walk
    cdef uint32_t i = 0
    while i < link.count and (are_all_looked_at or (i < link.overdue and link.waiting > 0)):
        walk = _at(link, i).walk
        i += 1
        if walk != NULL and walk.request.deadline.at <= now and walk_is_awaited_last(walk):
            counter_add(&link.server.counts.timeouts, 1)
            _time_out(link, walk)


cdef double _next_due(Link* link) noexcept nogil:
    cdef double timeout = link.server.reply_timeout
    cdef double due = INFINITY
    cdef uint32_t place
    if link.waiting > 0:
        due = min(link.heard_at + timeout,
                  _at(link, _first_waiting(link, 0)).sent_at + max(timeout, link.conn.engine.plan.deadline))
    place = _first_waiting(link, link.overdue)
    return due if place == link.count else min(due, _at(link, place).sent_at + timeout)


cdef double link_check(Link* link, double now) noexcept nogil:
    cdef double orphans_due
    if link.heard_at + link.server.reply_timeout <= now:
        _fail(link, now)
    else:
        _overstay(link, now)
    orphans_due = _orphans_due(link)
    # Whatever else waits there, and may be answered in time.
    if orphans_due <= now and not link.conn.is_broken:
        conn_break(&link.conn)
    return _next_due(link) if link.conn.is_broken else min(_next_due(link), orphans_due)
