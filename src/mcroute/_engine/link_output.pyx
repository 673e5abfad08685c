"""Encodes requests for servers. Each request has a reply there: the session implements noreply."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from mcroute._engine.blocks cimport OutQueue, Slice, out_copy, out_room, out_slice
from mcroute._engine.exptimes cimport walk_exptime, walk_is_capped
from mcroute._engine.links cimport link_expect
from mcroute._engine.meta cimport queue_meta
from mcroute._engine.state cimport LOOK, SHAPE_GET, SHAPE_LINE, SHAPE_META_GET, UNDO, ClientRequest, Engine, walk_key
from mcroute._engine.tokens cimport TAG_BITS
from mcroute._protocol cimport (
    CMD_CAS, CMD_DECR, CMD_DELETE, CMD_FLUSH_ALL, CMD_GAT, CMD_GATS, CMD_INCR, CMD_META_DEBUG,
    CMD_META_DELETE, CMD_META_GET, CMD_PREPEND, CMD_SET, CMD_TOUCH, KEY_MAX, REQ_BASE64, REQ_CANONICAL,
    REQ_NOREPLY, RequestView, command_text,
)
from mcroute._protocol.literals cimport CRLF, CRLF_SIZE, text_is

cdef enum:
    LINE_MAX = KEY_MAX + 128    # a command word, a key and four numbers of at most 20 digits


cdef const char* _word(int command) noexcept nogil:
    cdef size_t size = 0
    return command_text(command, &size)


cdef bint _is_noreply(RequestView* view, const char* key) noexcept nogil:
    """Whether memcached would take the key for the option noreply, if the key is last in a line."""
    return text_is(<const uint8_t*>key, view.key_size, b"noreply")


cdef int _shape(int command) noexcept nogil:
    if command <= CMD_GATS:
        return SHAPE_GET
    if command == CMD_META_GET:
        return SHAPE_META_GET
    return SHAPE_LINE


cdef bint _queue_word(OutQueue* out, Engine* engine, int command) noexcept nogil:
    cdef size_t size = 0
    cdef const char* word = command_text(command, &size)
    return out_copy(out, &engine.outbound, <const uint8_t*>word, size)


cdef size_t _keys_size(const ClientRequest* request, int32_t key, bint only_one) noexcept nogil:
    """Bytes of the keys in a line, each with a space."""
    cdef size_t size = 0
    while key >= 0:
        size += request.keys[key].size + 1
        key = -1 if only_one else request.keys[key].next
    return size


cdef bint _queue_keys(OutQueue* out, Engine* engine, Walk* walk, int32_t key, bint only_one) noexcept nogil:
    """Queues one get line for a chain of keys of a multiget."""
    cdef ClientRequest* request = walk.request
    cdef const uint8_t* data = request.block.data + request.offset
    cdef char[LINE_MAX] word
    cdef int size
    cdef uint8_t* room
    if request.view.command >= CMD_GAT:
        size = snprintf(word, LINE_MAX, b"%s %lld", _word(request.view.command),
                        <long long>walk_exptime(walk, request.view.exptime))
        if not out_copy(out, &engine.outbound, <uint8_t*>word, size):
            return False
    elif not _queue_word(out, engine, request.view.command):
        return False
    room = out_room(out, &engine.outbound, _keys_size(request, key, only_one) + CRLF_SIZE)
    if room == NULL:
        return False
    while key >= 0:
        # The byte before a key is the space that separates it from the token before.
        memcpy(room, data + request.keys[key].offset - 1, request.keys[key].size + 1)
        room += request.keys[key].size + 1
        key = -1 if only_one else request.keys[key].next
    memcpy(room, CRLF, CRLF_SIZE)
    return True


cdef int _encode_line(char* line, const char* key, Walk* walk) noexcept nogil:
    """Writes at most LINE_MAX bytes, and returns how many."""
    cdef RequestView* view = &walk.request.view
    cdef long long exptime = view.exptime
    cdef const char* word = _word(view.command)
    cdef int command = view.command
    if walk_is_capped(walk):
        exptime = walk_exptime(walk, exptime)
    if command == CMD_CAS:
        return snprintf(line, LINE_MAX, b"%s %.*s %llu %lld %llu %llu\r\n", word, <int>view.key_size, key,
                        <unsigned long long>view.client_flags, exptime,
                        <unsigned long long>view.value_size,
                        <unsigned long long>(view.number >> TAG_BITS if walk.tags_cas else view.number))
    if CMD_SET <= command <= CMD_PREPEND:
        return snprintf(line, LINE_MAX, b"%s %.*s %llu %lld %llu\r\n", word, <int>view.key_size, key,
                        <unsigned long long>view.client_flags, exptime,
                        <unsigned long long>view.value_size)
    if command == CMD_INCR or command == CMD_DECR:
        return snprintf(line, LINE_MAX, b"%s %.*s %llu\r\n", word, <int>view.key_size, key,
                        <unsigned long long>view.number)
    if command == CMD_TOUCH:
        return snprintf(line, LINE_MAX, b"%s %.*s %lld\r\n", word, <int>view.key_size, key, exptime)
    if command == CMD_FLUSH_ALL:
        return snprintf(line, LINE_MAX, b"%s %lld\r\n", word, exptime)
    if command == CMD_GAT or command == CMD_GATS:
        return snprintf(line, LINE_MAX, b"%s %lld %.*s\r\n", word, exptime, <int>view.key_size, key)
    if command == CMD_META_DEBUG and view.flags & REQ_BASE64:
        return snprintf(line, LINE_MAX, b"me %.*s b\r\n", <int>view.key_size, key)
    if command == CMD_DELETE and _is_noreply(view, key):
        # Every memcached accepts the argument 0, and current ones ignore it.
        return snprintf(line, LINE_MAX, b"delete noreply 0\r\n")
    return snprintf(line, LINE_MAX, b"%s %.*s\r\n", word, <int>view.key_size, key)


cdef bint _queue_encoded(OutQueue* out, Engine* engine, Walk* walk) noexcept nogil:
    """Queues the request's line from its parsed fields, and its value from the client's bytes."""
    cdef ClientRequest* request = walk.request
    cdef RequestView* view = &request.view
    cdef const char* key = <const char*>request.block.data + request.offset + view.key_offset
    cdef char[LINE_MAX] line
    cdef int size = _encode_line(line, key, walk)
    cdef Slice value
    if not out_copy(out, &engine.outbound, <uint8_t*>line, size):
        return False
    if not CMD_SET <= view.command <= CMD_CAS:
        return True
    value = Slice(request.block, request.offset + view.value_offset, view.value_size)
    return out_slice(out, &engine.outbound, value) and out_copy(out, &engine.outbound, <const uint8_t*>CRLF, CRLF_SIZE)


cdef bint _queue_undo(OutQueue* out, Engine* engine, Walk* walk, int* command) noexcept nogil:
    cdef RequestView* view = &walk.request.view
    cdef size_t key_size = 0
    cdef const char* key = <const char*>walk_key(walk, &key_size)
    cdef char[LINE_MAX] line
    cdef int size
    if view.command == CMD_GAT or view.command == CMD_GATS:
        command[0] = CMD_TOUCH
        size = snprintf(line, LINE_MAX, b"touch %.*s %lld\r\n", <int>key_size, key,
                        <long long>walk_exptime(walk, view.exptime))
    elif view.flags & REQ_BASE64:
        # A meta delete: only meta commands take a key in base64.
        command[0] = CMD_META_DELETE
        engine.next_opaque += 1
        size = snprintf(line, LINE_MAX, b"md %.*s b O%u\r\n", <int>view.key_size, key, engine.next_opaque)
    else:
        command[0] = CMD_DELETE
        size = snprintf(line, LINE_MAX, b"delete %.*s%s\r\n", <int>view.key_size, key,
                        <const char*>b" 0" if _is_noreply(view, key) else <const char*>b"")
    return out_copy(out, &engine.outbound, <uint8_t*>line, size)


cdef bint _queue_look(OutQueue* out, Engine* engine, Walk* walk, int* command) noexcept nogil:
    """Queues an mg that asks whether the copy has the key: without the value, and without an LRU update (u)."""
    cdef RequestView* view = &walk.request.view
    cdef const char* key = <const char*>walk.request.block.data + walk.request.offset + view.key_offset
    cdef char[LINE_MAX] line
    cdef int size
    command[0] = CMD_META_GET
    engine.next_opaque += 1
    size = snprintf(line, LINE_MAX, b"mg %.*s%s u O%u\r\n", <int>view.key_size, key,
                    <const char*>b" b" if view.flags & REQ_BASE64 else <const char*>b"", engine.next_opaque)
    return out_copy(out, &engine.outbound, <uint8_t*>line, size)


cdef bint _may_go_verbatim(Walk* walk) noexcept nogil:
    cdef RequestView* view = &walk.request.view
    if not view.flags & REQ_CANONICAL or view.flags & REQ_NOREPLY or walk_is_capped(walk):
        return False
    return view.command != CMD_CAS or not walk.tags_cas


cdef bint send_request(Link* link, Walk* walk) noexcept nogil:
    cdef ClientRequest* request = walk.request
    cdef Engine* engine = link.conn.engine
    cdef OutQueue* out = &link.conn.out
    cdef int command = request.view.command
    cdef bint queued
    if walk.purpose == UNDO:
        queued = _queue_undo(out, engine, walk, &command)
    elif walk.purpose == LOOK:
        queued = _queue_look(out, engine, walk, &command)
    elif walk.first_key >= 0:
        queued = _queue_keys(out, engine, walk, walk.first_key, not walk.is_group)
    elif command >= CMD_META_GET and command != CMD_META_DEBUG:
        engine.next_opaque += 1
        queued = queue_meta(out, engine, walk, engine.next_opaque)
    elif _may_go_verbatim(walk):
        queued = out_slice(out, &engine.outbound, Slice(request.block, request.offset, request.view.size))
    else:
        queued = _queue_encoded(out, engine, walk)
    return queued and link_expect(link, walk, _shape(command), command)
