"""The table of command words, both ways."""

from libc.string cimport memcmp, strlen

from mcroute._protocol.views cimport (
    CMD_ADD, CMD_APPEND, CMD_CAS, CMD_DECR, CMD_DELETE, CMD_FLUSH_ALL, CMD_GAT, CMD_GATS, CMD_GET, CMD_GETS,
    CMD_INCR, CMD_META_ARITHMETIC, CMD_META_DEBUG, CMD_META_DELETE, CMD_META_GET, CMD_META_NOOP, CMD_META_SET,
    CMD_PREPEND, CMD_QUIT, CMD_REPLACE, CMD_SET, CMD_STATS, CMD_TOUCH, CMD_VERBOSITY, CMD_VERSION, COMMAND_COUNT,
)

__all__ = ("COMMAND_NAMES", "MEMCACHED_VERSION")

# Clients parse a number here, and choose commands by it; some cannot read anything behind its digits.
MEMCACHED_VERSION = "1.6.45"
_version_line = b"VERSION %b\r\n" % MEMCACHED_VERSION.encode()
cdef const char* VERSION_LINE = _version_line

cdef const char* COMMAND_WORDS[COMMAND_COUNT]
COMMAND_WORDS[<int>CMD_GET] = b"get"
COMMAND_WORDS[<int>CMD_GETS] = b"gets"
COMMAND_WORDS[<int>CMD_GAT] = b"gat"
COMMAND_WORDS[<int>CMD_GATS] = b"gats"
COMMAND_WORDS[<int>CMD_SET] = b"set"
COMMAND_WORDS[<int>CMD_ADD] = b"add"
COMMAND_WORDS[<int>CMD_REPLACE] = b"replace"
COMMAND_WORDS[<int>CMD_APPEND] = b"append"
COMMAND_WORDS[<int>CMD_PREPEND] = b"prepend"
COMMAND_WORDS[<int>CMD_CAS] = b"cas"
COMMAND_WORDS[<int>CMD_DELETE] = b"delete"
COMMAND_WORDS[<int>CMD_INCR] = b"incr"
COMMAND_WORDS[<int>CMD_DECR] = b"decr"
COMMAND_WORDS[<int>CMD_TOUCH] = b"touch"
COMMAND_WORDS[<int>CMD_FLUSH_ALL] = b"flush_all"
COMMAND_WORDS[<int>CMD_VERSION] = b"version"
COMMAND_WORDS[<int>CMD_VERBOSITY] = b"verbosity"
COMMAND_WORDS[<int>CMD_STATS] = b"stats"
COMMAND_WORDS[<int>CMD_QUIT] = b"quit"
COMMAND_WORDS[<int>CMD_META_GET] = b"mg"
COMMAND_WORDS[<int>CMD_META_SET] = b"ms"
COMMAND_WORDS[<int>CMD_META_DELETE] = b"md"
COMMAND_WORDS[<int>CMD_META_ARITHMETIC] = b"ma"
COMMAND_WORDS[<int>CMD_META_NOOP] = b"mn"
COMMAND_WORDS[<int>CMD_META_DEBUG] = b"me"

cdef size_t COMMAND_SIZES[COMMAND_COUNT]
cdef int _index
for _index in range(<int>COMMAND_COUNT):
    COMMAND_SIZES[_index] = len(<bytes>COMMAND_WORDS[_index])
COMMAND_NAMES = tuple([(<bytes>COMMAND_WORDS[_index]).decode() for _index in range(<int>COMMAND_COUNT)])

cdef enum:
    WITHHELD_COUNT = 9

cdef const char* WITHHELD[WITHHELD_COUNT]
WITHHELD[0] = b"cache_memlimit"
WITHHELD[1] = b"debugtime"
WITHHELD[2] = b"extstore"
WITHHELD[3] = b"lru"
WITHHELD[4] = b"lru_crawler"
WITHHELD[5] = b"refresh_certs"
WITHHELD[6] = b"shutdown"
WITHHELD[7] = b"slabs"
WITHHELD[8] = b"watch"


cdef int command_find(const uint8_t* word, size_t size) noexcept nogil:
    cdef int command
    for command in range(<int>COMMAND_COUNT):
        if COMMAND_SIZES[<int>command] == size and memcmp(COMMAND_WORDS[command], word, size) == 0:
            return command
    return -1


cdef const char* command_text(int command, size_t* size) noexcept nogil:
    size[0] = COMMAND_SIZES[command]
    return COMMAND_WORDS[command]


cdef const char* version_line(size_t* size) noexcept nogil:
    size[0] = strlen(VERSION_LINE)
    return VERSION_LINE


cdef bint command_is_withheld(const uint8_t* word, size_t size) noexcept nogil:
    cdef int i
    for i in range(WITHHELD_COUNT):
        if strlen(WITHHELD[i]) == size and memcmp(WITHHELD[i], word, size) == 0:
            return True
    return False
