"""Missed writes of servers."""

from mcroute._engine.journal cimport journal_note
from mcroute._engine.server_words cimport word_miss
from mcroute._engine.state cimport GROUP_FLUSH, walk_key
from mcroute._protocol cimport REQ_BASE64


cdef void _missed(
    Server* server, Engine* engine, const uint8_t* key, size_t size, bint is_base64, bint is_unsent
) noexcept nogil:
    # Before the write is counted: see journal.pxd.
    if journal_note(server.journal, key, size, is_base64, is_unsent):
        counter_add(&engine.counts.notices, 1)
    counter_add(&server.counts.missed_writes, 1)
    if word_miss(server.word):
        counter_add(&server.counts.stale_ejections, 1)
        counter_add(&engine.counts.ejections, 1)


cdef void server_missed(Server* server, Walk* walk, bint is_unsent) noexcept nogil:
    cdef size_t size = 0
    cdef const uint8_t* key = walk_key(walk, &size)
    if walk.request.group == GROUP_FLUSH:
        # Of all keys.
        size = 0
    _missed(server, walk.request.plan.engine, key, size, walk.request.view.flags & REQ_BASE64 != 0, is_unsent)


cdef void server_missed_orphan(Server* server, Engine* engine, const Expected* orphan) noexcept nogil:
    if orphan.key == NULL:
        _missed(server, engine, NULL, 0, False, False)
    else:
        _missed(server, engine, orphan.key.data, orphan.key.size, orphan.key.is_base64, False)


cdef void server_missed_key(
    Server* server, Engine* engine, const uint8_t* key, size_t size, bint is_base64
) noexcept nogil:
    _missed(server, engine, key, size, is_base64, True)
