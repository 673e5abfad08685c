"""Maps kinds of replies to outcomes, by command."""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from mcroute._engine.state cimport (
    DELETED, EXISTS, HIT, MISS, NOT_FOUND, NOT_STORED, NUMBER, OK, REFUSED_BY_SERVER, STORED, TOUCHED,
    ClientRequest,
)
from mcroute._protocol cimport (
    CMD_CAS, CMD_DECR, CMD_DELETE, CMD_GATS, CMD_INCR, CMD_META_ARITHMETIC, CMD_META_DEBUG, CMD_META_DELETE,
    CMD_META_GET, CMD_META_SET, CMD_TOUCH, COMMAND_COUNT, REPLY_CLIENT_ERROR, REPLY_DELETED, REPLY_ERROR,
    REPLY_EXISTS, REPLY_META_DEBUG, REPLY_META_EXISTS, REPLY_META_HIT, REPLY_META_MISS, REPLY_META_NOT_FOUND,
    REPLY_META_NOT_STORED, REPLY_META_VALUE, REPLY_NOT_FOUND, REPLY_NOT_STORED, REPLY_NUMBER, REPLY_OK,
    REPLY_SERVER_ERROR, REPLY_STORED, REPLY_TOUCHED, REPLY_VERSION,
)


cdef int _meta_success(int command) noexcept nogil:
    if command == CMD_META_SET:
        return STORED
    if command == CMD_META_DELETE or command == CMD_DELETE:
        return DELETED
    return NUMBER if command == CMD_META_ARITHMETIC else HIT


cdef uint32_t _kinds(int command) noexcept nogil:
    """The kinds of one-line replies that a server has for the command, as bits; without classic VALUE replies."""
    if command <= CMD_GATS:
        return 0
    if command <= CMD_CAS:
        return 1 << REPLY_STORED | 1 << REPLY_NOT_STORED | 1 << REPLY_EXISTS | 1 << REPLY_NOT_FOUND
    if command == CMD_DELETE:
        return 1 << REPLY_DELETED | 1 << REPLY_NOT_FOUND
    if command == CMD_INCR or command == CMD_DECR:
        return 1 << REPLY_NUMBER | 1 << REPLY_NOT_FOUND
    if command == CMD_TOUCH:
        return 1 << REPLY_TOUCHED | 1 << REPLY_NOT_FOUND
    if command < CMD_META_GET:
        return 1 << REPLY_OK | 1 << REPLY_VERSION
    if command == CMD_META_GET or command == CMD_META_DEBUG:
        return 1 << REPLY_META_VALUE | 1 << REPLY_META_HIT | 1 << REPLY_META_MISS | 1 << REPLY_META_DEBUG
    return (1 << REPLY_META_HIT | 1 << REPLY_META_VALUE | 1 << REPLY_META_NOT_FOUND | 1 << REPLY_META_NOT_STORED
            | 1 << REPLY_META_EXISTS)


cdef uint32_t[COMMAND_COUNT] KINDS
cdef int _command
for _command in range(<int>COMMAND_COUNT):
    KINDS[_command] = _kinds(_command) | 1 << REPLY_ERROR | 1 << REPLY_CLIENT_ERROR | 1 << REPLY_SERVER_ERROR


cdef int reply_outcome(int kind, int command) noexcept nogil:
    """The Outcome of a one-line reply to the command; -1: no server sends it, so the link is out of step."""
    if not KINDS[command] >> kind & 1:
        return -1
    if kind == REPLY_STORED:
        return STORED
    if kind == REPLY_NOT_STORED or kind == REPLY_META_NOT_STORED:
        return NOT_STORED
    if kind == REPLY_EXISTS or kind == REPLY_META_EXISTS:
        return EXISTS
    if kind == REPLY_NOT_FOUND or kind == REPLY_META_NOT_FOUND:
        return NOT_FOUND
    if kind == REPLY_DELETED:
        return DELETED
    if kind == REPLY_TOUCHED:
        return TOUCHED
    if kind == REPLY_NUMBER:
        return NUMBER
    if kind == REPLY_OK or kind == REPLY_VERSION:
        return OK
    if kind == REPLY_META_VALUE or kind == REPLY_META_HIT or kind == REPLY_META_DEBUG:
        return _meta_success(command)
    if kind == REPLY_META_MISS:
        return MISS
    if kind == REPLY_SERVER_ERROR or kind == REPLY_CLIENT_ERROR or kind == REPLY_ERROR:
        return REFUSED_BY_SERVER
    return -1


cdef bint _is_key(const uint8_t* data, const ReplyView* view, const uint8_t* key, size_t size) noexcept nogil:
    return view.key_size == size and memcmp(data + view.key_offset, key, size) == 0


cdef bint reply_is_asked(Walk* walk, const uint8_t* data, const ReplyView* view) noexcept nogil:
    cdef ClientRequest* request
    cdef const uint8_t* asked
    if walk == NULL:
        return True
    request = walk.request
    asked = request.block.data + request.offset
    if walk.first_key >= 0:
        return _is_key(data, view, asked + request.keys[walk.first_key].offset,
                       request.keys[walk.first_key].size)
    return _is_key(data, view, asked + request.view.key_offset, request.view.key_size)
