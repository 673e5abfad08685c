"""Input of links. Rule 1: no wrong replies. A VALUE must carry the key that was asked for."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc
from libc.string cimport memchr, memcpy

from mcroute._engine.alarms cimport server_missed_orphan, server_notice
from mcroute._engine.blocks cimport Block, Slice, block_unref
from mcroute._engine.counters cimport counter_add, show
from mcroute._engine.counts cimport DESYNC_MAX, Desync
from mcroute._engine.dirty cimport conn_break
from mcroute._engine.hedged_gets cimport hedged_item
from mcroute._engine.histograms cimport Histogram, histogram_add
from mcroute._engine.links cimport link_answered, link_arrived, link_greeted, link_oldest
from mcroute._engine.meta cimport meta_matches, meta_restore
from mcroute._engine.multigets cimport multiget_item, multiget_next_item
from mcroute._engine.replies cimport reply_is_asked, reply_outcome
from mcroute._engine.skips cimport skip_begin, skip_on, skip_refusal
from mcroute._engine.state cimport (
    GREETING_MAX, HIT, LINK_READY, MISS, NUMBER, REFUSED_BY_SERVER, SHAPE_GET, SKIPPED_NO_MEMORY,
    SKIPPED_TOO_LARGE, Expected, Server, Walk, walk_key,
)
from mcroute._engine.tokens cimport token_tag
from mcroute._engine.walks cimport walk_end
from mcroute._protocol cimport (
    CMD_META_GET, COMMAND_COUNT, PARSED_BAD, PARSED_CLOSE, PARSED_MORE, PARSED_OK, REPLY_END,
    REPLY_META_VALUE, REPLY_SERVER_ERROR, REPLY_VALUE, ReplyView, reply_item, reply_parse,
)
from mcroute._protocol.literals cimport END_LINE, END_SIZE, text_begins, text_is

cdef Slice NOTHING = Slice(NULL, 0, 0)


cdef void _time_reply(Server* server, double seconds) noexcept nogil:
    cdef Histogram* replies
    if seconds >= server.reply_timeout:
        counter_add(&server.counts.late, 1)
        server_notice(server)
    if server.replies == NULL:
        replies = <Histogram*>calloc(1, sizeof(Histogram))
        if replies == NULL:
            return
        show(<void**>&server.replies, replies)
    histogram_add(server.replies, seconds)


cdef bint _is_its_fault(Slice refusal) noexcept nogil:
    """Whether the server is at fault. A CLIENT_ERROR is the request's fault, on every copy."""
    return refusal.block == NULL or refusal.block.data[refusal.offset] == b'S'


cdef void _complete(Link* link, int outcome, Slice reply) noexcept nogil:
    cdef Expected* expected = link_oldest(link)
    cdef Walk* walk = expected.walk
    link_answered(link)
    _time_reply(link.server, link.conn.engine.now - expected.sent_at)
    if walk == NULL and expected.is_copied and outcome == REFUSED_BY_SERVER and _is_its_fault(reply):
        # Another copy may have taken the write, and answered the client.
        server_missed_orphan(link.server, link.conn.engine, expected)
    link_arrived(link)
    if walk != NULL:
        walk_end(walk, outcome, reply)


cdef void _complete_tagged(Link* link, int outcome, Slice reply) noexcept nogil:
    """As _complete, for a reply that may have a CAS token."""
    cdef Walk* walk = link_oldest(link).walk
    cdef Block* tagged = NULL
    if walk != NULL and walk.tags_cas:
        tagged = token_tag(link.conn.engine, reply.block.data + reply.offset, reply.size, link.server)
    if tagged == NULL:
        _complete(link, outcome, reply)
        return
    _complete(link, outcome, Slice(tagged, 0, tagged.fill))
    block_unref(tagged)


cdef bint _keep_item(Walk* walk, const uint8_t* key, size_t size, Slice item) noexcept nogil:
    return multiget_item(walk, key, size, item) if walk.good == 0 else hedged_item(walk, key, size, item)


cdef bint _take_item(Link* link, Walk* walk, Block* block, size_t start, ReplyView* view) noexcept nogil:
    """Takes a VALUE of a multiget. False if its key was not asked for."""
    cdef const uint8_t* key = block.data + start + view.key_offset
    cdef Block* tagged = NULL
    cdef bint is_asked
    if walk == NULL:
        return True
    if walk.tags_cas:
        tagged = token_tag(link.conn.engine, block.data + start, view.size, link.server)
    if tagged == NULL:
        return _keep_item(walk, key, view.key_size, Slice(block, start, view.size))
    is_asked = _keep_item(walk, key, view.key_size, Slice(tagged, 0, tagged.fill))
    block_unref(tagged)
    return is_asked


cdef size_t _take_next_item(Link* link, Block* block, size_t start, size_t size) noexcept nogil:
    """Takes the item that is expected next, as nearly all replies are. Returns its size; 0: anything else."""
    cdef Expected* expected = link_oldest(link)
    cdef Walk* walk = expected.walk
    cdef const uint8_t* key
    cdef size_t key_size = 0
    if expected.shape != SHAPE_GET or walk == NULL or walk.tags_cas or expected.skipped:
        return 0
    if walk.is_group:
        return multiget_next_item(walk, block, start, size, link.server.value_max)
    key = walk_key(walk, &key_size)
    key_size = reply_item(block.data + start, size, key, key_size, link.server.value_max)
    if key_size == 0 or not text_begins(block.data + start + key_size, size - key_size, END_LINE):
        return 0
    _complete(link, HIT, Slice(block, start, key_size + END_SIZE))
    return key_size + END_SIZE


cdef size_t _take_get(Link* link, Block* block, size_t start, size_t size, ReplyView* view) noexcept nogil:
    """Takes a reply to get. Returns its size; 0: view.size bytes are needed, or if view.size is 0, a desync."""
    cdef Expected* expected = link_oldest(link)
    cdef Walk* walk = expected.walk
    cdef uint8_t* data = block.data + start
    if view.kind == REPLY_VALUE:
        if walk == NULL or walk.is_group:
            if not _take_item(link, walk, block, start, view):
                view.size = 0
                return 0
            return view.size
        # One key has one item: the whole reply is one slice.
        if expected.skipped:
            view.size = 0
            return 0
        if size < view.size + END_SIZE:
            view.size += END_SIZE
            return 0
        if not text_begins(data + view.size, size - view.size, END_LINE) or not reply_is_asked(walk, data, view):
            view.size = 0
            return 0
        view.size += END_SIZE
        _complete_tagged(link, HIT, Slice(block, start, view.size))
        return view.size
    if view.kind == REPLY_END and expected.skipped:
        _skip_ended(link)
        return view.size
    if view.kind == REPLY_END:
        _complete(link, MISS, Slice(block, start, view.size))
        return view.size
    if reply_outcome(view.kind, expected.command) != REFUSED_BY_SERVER:
        view.size = 0
        return 0
    _complete(link, REFUSED_BY_SERVER, Slice(block, start, view.size))
    return view.size


cdef size_t _take_line(Link* link, Block* block, size_t start, ReplyView* view) noexcept nogil:
    cdef Expected* expected = link_oldest(link)
    cdef int outcome = reply_outcome(view.kind, expected.command)
    cdef Block* restored
    if outcome < 0 or (expected.command >= CMD_META_GET and not meta_matches(expected, block.data + start, view)):
        view.size = 0
        return 0
    if expected.walk != NULL and view.opaque_size > 0 and expected.command >= CMD_META_GET:
        restored = meta_restore(expected.walk.request, block.data + start, view)
        if restored == NULL:
            # There is no memory for the reply, but its outcome counts.
            _complete(link, REFUSED_BY_SERVER if outcome in (HIT, NUMBER) else outcome, NOTHING)
            return <size_t>view.size
        _complete_tagged(link, outcome, Slice(restored, 0, restored.fill))
        block_unref(restored)
        return <size_t>view.size
    _complete(link, outcome, Slice(block, start, view.size))
    return view.size


cdef bint _loses_order(Link* link, const uint8_t* line, size_t size) noexcept nogil:
    """Whether memcached has discarded unsent replies, and says so by this line, which matches no request."""
    if text_is(line, size, b"SERVER_ERROR out of memory writing get response\r\n"):
        return link.count > 1
    return text_is(line, size, b"SERVER_ERROR out of memory reading request\r\n")


cdef void _desynced(Link* link, const uint8_t* data, size_t size) noexcept nogil:
    counter_add(&link.server.counts.desyncs, 1)
    counter_add(&link.conn.engine.counts.desyncs, 1)
    _note_desync(&link.server.desync, link, data, size)
    conn_break(&link.conn)


cdef void _note_desync(Desync* desync, Link* link, const uint8_t* data, size_t size) noexcept nogil:
    desync.count += 1
    if desync.count > 1:
        return
    desync.depth = link.count
    desync.command = link_oldest(link).command if link.count > 0 else <uint8_t>COMMAND_COUNT
    desync.size = <uint8_t>min(size, <size_t>DESYNC_MAX)
    memcpy(desync.text, data, desync.size)


cdef size_t _take_greeting(Link* link, const uint8_t* data, size_t size, size_t* need) noexcept nogil:
    """Takes a line of the handshake, in any protocol. Bytes after its last line are a desync: no request was sent."""
    cdef const uint8_t* end = <const uint8_t*>memchr(data, c"\n", size)
    cdef size_t line = size if end == NULL else <size_t>(end + 1 - data)
    if end == NULL and size < GREETING_MAX:
        need[0] = size + 1
        return 0
    if link.script_unsent > 0 or not link_greeted(link, data, line):
        conn_break(&link.conn)
        return 0
    if link.state == LINK_READY and line < size:
        _desynced(link, data + line, size - line)
        return 0
    link.progress_at = link.conn.engine.now
    link_arrived(link)
    return line


cdef size_t _take(Link* link, Block* block, size_t start, size_t size, size_t* need) noexcept nogil:
    """Takes one message from the front; returns its size, 0 when it is incomplete or the link was broken."""
    cdef ReplyView view
    cdef size_t taken
    cdef int parsed
    if link.count == 0:
        _desynced(link, block.data + start, size)
        return 0
    if link_oldest(link).step > 0:
        return _take_greeting(link, block.data + start, size, need)
    taken = _take_next_item(link, block, start, size)
    if taken > 0:
        return taken
    parsed = reply_parse(block.data + start, size, link.server.value_max, &view)
    if parsed == PARSED_MORE:
        need[0] = view.size
        return 0
    taken = 0
    if parsed == PARSED_OK and view.kind == REPLY_SERVER_ERROR and _loses_order(
            link, block.data + start, view.line_size):
        parsed = PARSED_CLOSE
    if parsed == PARSED_OK:
        if link_oldest(link).shape == SHAPE_GET:
            taken = _take_get(link, block, start, size, &view)
        else:
            taken = _take_line(link, block, start, &view)
        if taken > 0:
            return taken
        if view.size > 0:
            need[0] = view.size
            return 0
    elif parsed == PARSED_BAD:
        taken = skip_begin(link, block.data + start, &view, SKIPPED_TOO_LARGE)
        if taken > 0:
            return taken
    _desynced(link, block.data + start, size)
    return 0


cdef void _skip_ended(Link* link) noexcept nogil:
    """Completes a reply whose value was skipped."""
    cdef Block* refusal = skip_refusal(link)
    if refusal == NULL:
        _complete(link, REFUSED_BY_SERVER, NOTHING)
        return
    _complete(link, REFUSED_BY_SERVER, Slice(refusal, 0, refusal.fill))
    block_unref(refusal)


cdef void _skip(Link* link, const uint8_t* data, size_t size) noexcept nogil:
    cdef size_t taken = skip_on(link, data, size)
    link.conn.input.start += taken
    if taken == 0:
        _desynced(link, data, size)
    elif link.conn.swallow == 0 and link_oldest(link).shape != SHAPE_GET:
        _skip_ended(link)


cdef void link_input(Link* link) noexcept nogil:
    cdef size_t taken
    cdef size_t start
    cdef size_t need = 0
    cdef Block* block = link.conn.input.block
    while link.conn.input.start < link.conn.input.end and not link.conn.is_broken:
        start = link.conn.input.start
        if link.conn.swallow > 0:
            _skip(link, block.data + start, link.conn.input.end - start)
            continue
        taken = _take(link, block, start, link.conn.input.end - start, &need)
        if taken == 0:
            break
        link.conn.input.start += taken
    link.conn.input.need = need


cdef bint link_skip(Link* link) noexcept nogil:
    cdef Block* block = link.conn.input.block
    cdef size_t start = link.conn.input.start
    cdef ReplyView view
    cdef size_t taken
    if link.count == 0 or link_oldest(link).step > 0 or link.conn.swallow > 0:
        return False
    if reply_parse(block.data + start, link.conn.input.end - start, link.server.value_max, &view) not in (
            PARSED_MORE, PARSED_OK):
        return False
    if view.line_size == 0 or view.kind not in (REPLY_VALUE, REPLY_META_VALUE):
        return False
    taken = skip_begin(link, block.data + start, &view, SKIPPED_NO_MEMORY)
    link.conn.input.start += taken
    link.conn.input.need = 0
    return taken > 0
