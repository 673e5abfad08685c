"""Missed writes of servers."""

from mcroute._engine.server_words cimport word_miss


cdef void server_missed(Server* server, Engine* engine) noexcept nogil:
    counter_add(&server.counts.missed_writes, 1)
    if word_miss(server.word):
        counter_add(&server.counts.stale_ejections, 1)
        counter_add(&engine.counts.ejections, 1)
