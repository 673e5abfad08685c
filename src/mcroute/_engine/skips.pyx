"""A value that is too large costs its own request an error; the link, which others share, goes on."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, strlen

from mcroute._engine.counters cimport counter_add
from mcroute._engine.links cimport link_oldest
from mcroute._engine.meta cimport meta_matches
from mcroute._engine.multigets cimport multiget_skip
from mcroute._engine.reclaim cimport reply_block
from mcroute._engine.replies cimport reply_is_asked, reply_outcome
from mcroute._engine.state cimport SHAPE_GET, SKIPPED_NOTHING, SKIPPED_TOO_LARGE, Expected, Walk
from mcroute._protocol cimport CMD_META_GET, REPLY_VALUE

cdef const char* TOO_LARGE = b"SERVER_ERROR value is larger than value_max\r\n"
cdef const char* NO_MEMORY = b"SERVER_ERROR out of memory reading reply\r\n"


cdef bint _is_its_reply(Link* link, const uint8_t* data, const ReplyView* view) noexcept nogil:
    cdef Expected* expected = link_oldest(link)
    cdef Walk* walk = expected.walk
    if expected.shape != SHAPE_GET:
        return reply_outcome(view.kind, expected.command) >= 0 and (
            expected.command < CMD_META_GET or meta_matches(expected, data, view))
    if view.kind != REPLY_VALUE:
        return False
    if walk == NULL:
        return True
    if walk.is_group:
        return multiget_skip(walk, data + view.key_offset, view.key_size)
    return expected.skipped == SKIPPED_NOTHING and reply_is_asked(walk, data, view)


cdef size_t skip_begin(Link* link, const uint8_t* data, const ReplyView* view, int cause) noexcept nogil:
    if not _is_its_reply(link, data, view):
        return 0
    link_oldest(link).skipped = cause
    link.conn.swallow = view.value_size + 2
    if cause == SKIPPED_TOO_LARGE:
        counter_add(&link.server.counts.too_large, 1)
        counter_add(&link.conn.engine.counts.too_large, 1)
    else:
        counter_add(&link.server.counts.discarded_memory, 1)
        counter_add(&link.conn.engine.counts.discarded_memory, 1)
    return view.line_size


cdef size_t skip_on(Link* link, const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t left = link.conn.swallow
    cdef size_t taken = size if size < left else <size_t>left
    # The last two bytes are the line end: checks those of them that have arrived.
    if (left >= 2 and left - taken <= 1 and data[left - 2] != b"\r"
            or left >= 1 and left == taken and data[left - 1] != b"\n"):
        return 0
    link.conn.swallow = left - taken
    return taken


cdef Block* skip_refusal(Link* link) noexcept nogil:
    cdef const char* text = TOO_LARGE if link_oldest(link).skipped == SKIPPED_TOO_LARGE else NO_MEMORY
    cdef Block* block = reply_block(link.conn.engine, strlen(text))
    if block == NULL:
        return NULL
    memcpy(block.data, text, strlen(text))
    block.fill = strlen(text)
    return block
