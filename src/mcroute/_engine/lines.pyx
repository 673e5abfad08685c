"""The engine's own reply lines: memcached's texts where memcached has one."""

from mcroute._engine.state cimport (
    DELETED, EJECTED, EXISTS, MISS, NOT_FOUND, NOT_STORED, OK, OVERLOADED, REFUSED_BY_SERVER, STORED,
    TIMEOUT, TOUCHED,
)
from mcroute._protocol cimport CMD_CAS, CMD_FLUSH_ALL, CMD_GATS, CMD_META_GET, CMD_META_SET, CMD_SET

cdef const char* error_line(int outcome) noexcept nogil:
    if outcome == TIMEOUT:
        return b"SERVER_ERROR timeout\r\n"
    if outcome == EJECTED:
        return b"SERVER_ERROR server is out of service\r\n"
    if outcome == OVERLOADED:
        return b"SERVER_ERROR too many requests wait for the server\r\n"
    if outcome == REFUSED_BY_SERVER:
        return b"SERVER_ERROR a server refused\r\n"
    return b"SERVER_ERROR connection to the server lost\r\n"


cdef const char* _miss_line(int command) noexcept nogil:
    """The reply of a server that does not have the key."""
    if command <= CMD_GATS:
        return b"END\r\n"
    if CMD_SET <= command <= CMD_CAS:
        return b"NOT_STORED\r\n"
    if command == CMD_META_GET:
        return b"EN\r\n"
    if command == CMD_META_SET:
        return b"NS\r\n"
    if command == CMD_FLUSH_ALL:
        return b"OK\r\n"
    return b"NF\r\n" if command > CMD_META_GET else b"NOT_FOUND\r\n"


cdef const char* _meta_line(int outcome) noexcept nogil:
    if outcome == NOT_STORED:
        return b"NS\r\n"
    if outcome == EXISTS:
        return b"EX\r\n"
    if outcome == NOT_FOUND:
        return b"NF\r\n"
    if outcome == STORED or outcome == DELETED:
        return b"HD\r\n"
    return NULL


cdef const char* plain_line(int command, int outcome) noexcept nogil:
    if outcome == MISS:
        return _miss_line(command)
    if command >= CMD_META_GET:
        return _meta_line(outcome)
    if outcome == STORED:
        return b"STORED\r\n"
    if outcome == NOT_STORED:
        return b"NOT_STORED\r\n"
    if outcome == EXISTS:
        return b"EXISTS\r\n"
    if outcome == NOT_FOUND:
        return b"NOT_FOUND\r\n"
    if outcome == DELETED:
        return b"DELETED\r\n"
    if outcome == TOUCHED:
        return b"TOUCHED\r\n"
    if outcome == OK:
        return b"OK\r\n"
    return NULL
