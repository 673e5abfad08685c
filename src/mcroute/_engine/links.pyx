"""Pipelining to servers."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from mcroute._engine.claims cimport claim_add_ghost, claim_remove_ghost
from mcroute._engine.counters cimport counter_add
from mcroute._engine.dirty cimport conn_mark
from mcroute._engine.journal cimport journal_save_ghost, orphan_key
from mcroute._engine.reclaim cimport links_have_room
from mcroute._engine.state cimport (
    GREETING_MAX, GROUP_FLUSH, LINK_CLOSED, LINK_READY, LOST, NOT_LOST, OVERLOADED, SHAPE_LINE, SKIPPED_NOTHING,
    TIMEOUT, ClientRequest, walk_is_copied, walk_key,
)
from mcroute._engine.server_words cimport word_count_ghost
from mcroute._hashing.caching cimport prefetch_all
from mcroute._protocol cimport CMD_GET, CMD_GETS, CMD_META_GET, CMD_VERSION, REQ_BASE64


cdef bint command_changes(int command) noexcept nogil:
    return command not in (CMD_GET, CMD_GETS, CMD_META_GET, CMD_VERSION)


cdef bint link_takes(Link* link, int* reason) noexcept nogil:
    if link == NULL or link.state == LINK_CLOSED or link.conn.is_broken:
        reason[0] = LOST
        return False
    if (link.count >= link.conn.engine.queue_max or link.conn.out.bytes >= link.conn.engine.link_out_max
            or not links_have_room(link.conn.engine)):
        reason[0] = OVERLOADED
        return False
    return True


cdef bint _widen(Link* link) noexcept nogil:
    cdef uint32_t slots = link.slots * 2 if link.slots else 64
    cdef Expected* ring = <Expected*>malloc(slots * sizeof(Expected))
    cdef uint32_t i
    if ring == NULL:
        return False
    # Positions count from the link's start, and do not change: Walk.position stays valid.
    for i in range(link.count):
        ring[(link.head + i) & (slots - 1)] = link.ring[(link.head + i) & (link.slots - 1)]
    free(link.ring)
    link.ring = ring
    link.slots = slots
    return True


cdef bint link_expect(Link* link, Walk* walk, int shape, int command) noexcept nogil:
    cdef Expected* expected
    if link.count == link.slots and not _widen(link):
        return False
    if link.count == 0:
        link_measure_rate(link)
    expected = &link.ring[(link.head + link.count) & (link.slots - 1)]
    expected.walk = walk
    expected.sent_at = link.conn.engine.now
    expected.shape = shape
    expected.command = command
    expected.step = 0
    expected.skipped = SKIPPED_NOTHING
    expected.is_ghost = False
    expected.is_copied = False
    expected.key = NULL
    expected.opaque = link.conn.engine.next_opaque
    if walk != NULL:
        walk.link = link
        walk.position = link.head + link.count
    link.count += 1
    conn_mark(&link.conn)
    return True


cdef bint link_expect_greeting(Link* link, Text prefix) noexcept nogil:
    if not link_expect(link, NULL, SHAPE_LINE, CMD_VERSION):
        return False
    link.orphans += 1
    link.script[link.script_size] = prefix
    link.script_size += 1
    link.ring[(link.head + link.count - 1) & (link.slots - 1)].step = link.script_size
    return True


cdef void link_open(Link* link) noexcept nogil:
    link.state = LINK_READY
    link.server.lost_error = NOT_LOST
    counter_add(&link.server.counts.connects, 1)
    # Requests that waited for the handshake are to be sent.
    conn_mark(&link.conn)


cdef bint link_greeted(Link* link, const uint8_t* line, size_t size) noexcept nogil:
    cdef int step = link_oldest(link).step
    cdef Text* prefix = &link.script[step - 1]
    while size > 0 and line[size - 1] in (b"\r", b"\n"):
        size -= 1
    link.greeting_size = <int>min(size, <size_t>GREETING_MAX)
    memcpy(link.greeting, line, link.greeting_size)
    if size < prefix.size or memcmp(line, prefix.data, prefix.size) != 0:
        return False
    if step == link.script_size:
        link_open(link)
    return True


cdef bint link_advance(Link* link) noexcept nogil:
    cdef uint32_t steps = 0
    cdef Expected request
    while steps < link.count and link.ring[(link.head + steps) & (link.slots - 1)].step > 0:
        steps += 1
    if steps == link.count:
        return False
    # Only steps and this request move: Walk.position of other requests stays valid.
    request = link.ring[(link.head + steps) & (link.slots - 1)]
    while steps > 0:
        link.ring[(link.head + steps) & (link.slots - 1)] = link.ring[(link.head + steps - 1) & (link.slots - 1)]
        steps -= 1
    link.ring[link.head & (link.slots - 1)] = request
    return True


cdef inline void _prefetch_request(const Walk* walk) noexcept nogil:
    """Most walks are embedded at the end of their request. The walk of an orphan is NULL: the prefetch is harmless."""
    prefetch_all(<uintptr_t>walk + sizeof(Walk) - sizeof(ClientRequest), sizeof(ClientRequest))


cdef void link_arrived(Link* link) noexcept nogil:
    cdef Expected* expected = link_oldest(link)
    if expected.is_ghost:
        link.server.ghosts -= 1
        word_count_ghost(link.server.word, False)
        claim_remove_ghost(link.conn.engine, expected.slot)
    if link.overdue > 0:
        link.overdue -= 1
        link.waiting -= expected.walk != NULL
    if expected.walk == NULL:
        link.orphans -= 1
        free(expected.key)
    else:
        expected.walk.link = NULL
    link.head += 1
    link.count -= 1
    if link.count > 0:
        _prefetch_request(link_oldest(link).walk)


cdef void _make_ghost(Link* link, Expected* expected, Walk* walk) noexcept nogil:
    if command_changes(expected.command) and not expected.is_ghost:
        expected.is_ghost = True
        expected.slot = claim_add_ghost(walk)
        link.server.ghosts += 1
        word_count_ghost(link.server.word, True)
        if walk_is_copied(walk):
            _save_ghost(link.server, walk)


cdef void _save_ghost(Server* server, Walk* walk) noexcept nogil:
    cdef size_t size = 0
    cdef const uint8_t* key = walk_key(walk, &size)
    if walk.request.group == GROUP_FLUSH:
        # Of all keys.
        size = 0
    journal_save_ghost(server.journal, key, size, walk.request.view.flags & REQ_BASE64 != 0)


cdef void link_make_ghosts(Link* link) noexcept nogil:
    cdef uint32_t i
    cdef Expected* expected
    for i in range(link.count):
        expected = &link.ring[(link.head + i) & (link.slots - 1)]
        if expected.walk != NULL and expected.walk.request.is_done and expected.walk.request.outcome == TIMEOUT:
            _make_ghost(link, expected, expected.walk)


cdef void link_orphan(Walk* walk) noexcept nogil:
    cdef Link* link = walk.link
    cdef Expected* expected
    cdef const uint8_t* key
    cdef size_t size = 0
    if link == NULL:
        return
    expected = &link.ring[walk.position & (link.slots - 1)]
    expected.walk = NULL
    expected.is_copied = walk_is_copied(walk)
    if expected.is_copied and walk.request.group != GROUP_FLUSH:
        key = walk_key(walk, &size)
        expected.key = orphan_key(key, size, walk.request.view.flags & REQ_BASE64 != 0)
    _make_ghost(link, expected, walk)
    link.orphans += 1
    link.waiting -= walk.position - link.head < link.overdue
    walk.link = NULL


cdef uint32_t link_unanswered_writes(Link* link) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t count = 0
    if link.state != LINK_READY:
        return 0
    for i in range(link.count):
        count += command_changes(link.ring[(link.head + i) & (link.slots - 1)].command)
    return count


cdef bint server_is_unlinked(Server* server) noexcept nogil:
    cdef int i
    for i in range(server.link_count):
        if server.links[i].state != LINK_CLOSED or server.links[i].count > 0:
            return False
    return True
