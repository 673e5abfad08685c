"""A value that is too large costs its own request an error; the link, which others share, goes on."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, strlen

from mcroute._engine.blocks cimport Block, Slice, block_drop
from mcroute._engine.counters cimport counter_add
from mcroute._engine.links cimport link_oldest
from mcroute._engine.meta cimport meta_matches
from mcroute._engine.multigets cimport multiget_skip
from mcroute._engine.relief cimport reply_block
from mcroute._engine.replies cimport link_complete, link_desynced, reply_is_asked, reply_outcome
from mcroute._engine.state cimport (
    REFUSED_BY_SERVER, SHAPE_GET, SKIPPED_NOTHING, SKIPPED_TOO_LARGE, Expected, Walk,
)
from mcroute._protocol cimport CMD_META_GET, REPLY_VALUE

cdef Slice NOTHING = Slice(NULL, 0, 0)

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
        counter_add(&link.server.counts.unkept, 1)
        counter_add(&link.conn.engine.counts.unkept, 1)
    return view.line_size


cdef size_t skip_on(Link* link, const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t left = link.conn.swallow
    cdef size_t taken = size if size < left else <size_t>left
    link.conn.swallow = left - taken
    # The last two bytes of all are the line end: those of them that are here.
    if left >= 2 and left - taken <= 1 and data[left - 2] != 13 or left >= 1 and left == taken and data[left - 1] != 10:
        link_desynced(link, data, size)
        return taken
    if link.conn.swallow == 0 and link_oldest(link).shape != SHAPE_GET:
        skip_ended(link)
    return taken


cdef void skip_ended(Link* link) noexcept nogil:
    cdef Expected* expected = link_oldest(link)
    cdef const char* text = TOO_LARGE if expected.skipped == SKIPPED_TOO_LARGE else NO_MEMORY
    cdef Block* block = reply_block(link.conn.engine, strlen(text))
    if block == NULL:
        link_complete(link, REFUSED_BY_SERVER, NOTHING)
        return
    memcpy(block.data, text, strlen(text))
    block.fill = strlen(text)
    link_complete(link, REFUSED_BY_SERVER, Slice(block, 0, block.fill))
    block_drop(block)
