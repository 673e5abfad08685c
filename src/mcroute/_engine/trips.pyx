"""Failures in a row, lost connections."""

from libc.stdint cimport uint64_t

from mcroute._engine.alarms cimport server_missed_orphan
from mcroute._engine.blocks cimport Slice, out_clear, out_cut
from mcroute._engine.counters cimport counter_add
from mcroute._engine.links cimport link_advance, link_arrived, link_expected, link_oldest, link_orphan
from mcroute._engine.state cimport (
    EJECTED, LINK_CLOSED, LINK_CONNECTING, LINK_GREETING, LINK_READY, LOST, TIMEOUT, Engine, Walk,
)
from mcroute._engine.walks cimport walk_end
from mcroute._engine.server_words cimport (
    SERVER_EJECTED, SERVER_UP, SPARED, word_outs, word_state, word_trip, word_ups,
)

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef void server_trip(Server* server) noexcept nogil:
    cdef Engine* engine = server.links[0].conn.engine
    cdef int tripped = word_trip(server.word)
    if tripped == SERVER_EJECTED:
        counter_add(&server.counts.trips, 1)
        counter_add(&engine.counts.ejections, 1)
    elif tripped == SPARED:
        counter_add(&engine.counts.spared, 1)
    # Even if another thread's engine has ejected the server.
    server_fail_over(server)


cdef void server_count_failures(Server* server, uint32_t more) noexcept nogil:
    cdef uint64_t ups = word_ups(server.word)
    if ups != server.ups_seen:
        # Each engine resets the failures from before the server was restored when it counts the next one.
        server.ups_seen = ups
        server.failures = 0
    counter_add(&server.counts.failed, more)
    server.failures += more


# Counts one more failure; too many in a row eject the server until the supervisor restores it.
cdef void _failed(Server* server) noexcept nogil:
    server_count_failures(server, 1)
    if server.failures >= server.trip_after:
        server_trip(server)


cdef void server_fail_over(Server* server) noexcept nogil:
    if word_outs(server.word) != server.outs_seen and word_state(server.word) != SERVER_UP:
        server_abandon(server)


cdef void server_abandon(Server* server) noexcept nogil:
    cdef Engine* engine
    cdef bint before
    cdef int i
    server.outs_seen = word_outs(server.word)
    # One of its requests may call this as it fails over: the others follow in their order.
    if server.link_count == 0 or server.is_abandoned:
        return
    server.is_abandoned = True
    # At most the requests in flight at the ejection fail over, and only once: no retry storm can follow.
    engine = server.links[0].conn.engine
    before = engine.is_failing_over
    engine.is_failing_over = True
    for i in range(server.link_count):
        _fail_over_link(server.links[i])
    engine.is_failing_over = before
    server.is_abandoned = False


# The oldest expected reply will not come: LOST, or EJECTED if the request was not sent.
cdef void _fail_oldest(Link* link, int outcome) noexcept nogil:
    cdef Walk* walk = link_oldest(link).walk
    counter_add(&link.server.counts.dropped, link_oldest(link).step == 0)
    if walk == NULL and link_oldest(link).is_copied:
        # Before the ghost ends: until then it keeps other threads' engines from the key.
        server_missed_orphan(link.server, link.conn.engine, link_oldest(link))
    link_arrived(link)
    if walk != NULL:
        walk_end(walk, outcome, NOTHING)


cdef void _fail_unsent(Link* link) noexcept nogil:
    """Ends the requests that wait for the end of the handshake; they are not sent."""
    cdef uint32_t left = 0
    cdef uint32_t i
    out_cut(&link.conn.out, link.script_unsent)
    # Counted anew: requests overtake the handshake's replies.
    link.overdue = 0
    link.waiting = 0
    for i in range(link.count):
        left += link_expected(link, i).step == 0
    # Requests that queue meanwhile, from walks that end here, are not counted.
    while left > 0 and link_advance(link):
        _fail_oldest(link, EJECTED)
        left -= 1


cdef void _fail_over_link(Link* link) noexcept nogil:
    """Fails over the requests that wait on an ejected server; their replies are discarded if they come."""
    cdef uint32_t i
    cdef Walk* walk
    if link.state in (LINK_CONNECTING, LINK_GREETING):
        _fail_unsent(link)
        return
    for i in range(link.count):
        walk = link_expected(link, i).walk
        if walk != NULL:
            link_orphan(walk)
            walk_end(walk, TIMEOUT, NOTHING)


cdef void link_fail_expected(Link* link, bint is_ours) noexcept nogil:
    cdef bint was_made = link.state in (LINK_CONNECTING, LINK_GREETING)
    cdef bint is_failure = not is_ours and (was_made or link.count > link.orphans)
    if was_made and not is_ours:
        counter_add(&link.server.counts.connects_failed, 1)
    elif link.state == LINK_READY:
        counter_add(&link.server.counts.disconnects, 1)
    link.state = LINK_CLOSED
    while link.count > 0:
        # Requests that waited for the end of a handshake were certainly not executed.
        _fail_oldest(link, EJECTED if was_made else LOST)
    out_clear(&link.conn.out)
    if is_failure:
        _failed(link.server)
