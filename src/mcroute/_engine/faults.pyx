"""Error lines name the culprit of a failed request, and the reason why it could not be used."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset, strerror, strlen

from mcroute._engine.lines cimport error_line
from mcroute._engine.state cimport EJECTED, LOST, NOT_LOST, OVERLOADED, TEXT_WORDS, TIMEOUT, Server
from mcroute._engine.server_words cimport mcroute_load, mcroute_more, mcroute_swap

cdef enum:
    TRIES_MAX = 8               # attempts to read a description that is being written


cdef int _copy_text(char* out, size_t room, str text) except -1:
    """Copies the text, cut between characters. Control characters, which could end the line, become spaces."""
    cdef bytes data = text.encode("utf-8", "replace")[:room - 1].decode("utf-8", "ignore").encode()
    cdef size_t i
    memcpy(out, <const char*>data, len(data))
    for i in range(<size_t>len(data)):
        if <uint8_t>out[i] < c" ":
            out[i] = c" "
    return 0


cdef int description_write(Description* description, str name, str fault) except -1:
    cdef uint64_t[TEXT_WORDS] words
    cdef int i
    memset(words, 0, sizeof(words))
    _copy_text(<char*>words, NAME_MAX, name)
    _copy_text(<char*>words + NAME_MAX, FAULT_MAX, fault)
    mcroute_more(&description.version)
    for i in range(<int>TEXT_WORDS):
        while not mcroute_swap(&description.words[i], mcroute_load(&description.words[i]), words[i]):
            pass
    mcroute_more(&description.version)
    return 0


cdef bint _read(Description* description, uint64_t* words) noexcept nogil:
    """Copies the description. False if it has no name, or another thread is writing it."""
    cdef uint64_t version
    cdef int i
    for _ in range(<int>TRIES_MAX):
        version = mcroute_load(&description.version)
        for i in range(<int>TEXT_WORDS):
            words[i] = mcroute_load(&description.words[i])
        if version % 2 == 0 and mcroute_load(&description.version) == version:
            return (<char*>words)[0] != 0
    return False


cdef void request_set_culprit(ClientRequest* request, int server, int outcome) noexcept nogil:
    cdef const uint8_t* ranks = request.plan.merge[request.group]
    # The outcome of least rank answers the client, as when the outcomes of copies are merged.
    if request.blamed == 0 or ranks[outcome] <= ranks[request.blamed_for]:
        request.blamed = server + 1
        request.blamed_for = <uint8_t>outcome


cdef int request_culprit(const ClientRequest* request, int outcome) noexcept nogil:
    if request.blamed > 0 and request.blamed_for == outcome:
        return <int>request.blamed - 1
    # The deadline has come, and the only server that was asked has not answered.
    return request.walk.server if outcome == TIMEOUT and request.walk.is_embedded else -1


cdef int _lost_line(const char* name, int lost_error, char* out) noexcept nogil:
    """The error line before the supervisor has described the loss; same reasons as in runtime/handshakes.py."""
    cdef const char* why = b"the server has closed it"
    if lost_error == NOT_LOST:
        return snprintf(out, ERROR_LINE_MAX, b"SERVER_ERROR connection to server %s lost\r\n", name)
    if lost_error > 0:
        why = strerror(lost_error)
    return snprintf(out, ERROR_LINE_MAX, b"SERVER_ERROR server %s: its connection was lost: %s\r\n", name, why)


cdef int _named_line(int outcome, const char* name, const char* fault, int lost_error, char* out) noexcept nogil:
    """Writes the line. Returns its size, or 0 if this outcome's line has no server's name."""
    if outcome == TIMEOUT:
        return snprintf(out, ERROR_LINE_MAX, b"SERVER_ERROR timeout: server %s\r\n", name)
    if outcome == OVERLOADED:
        return snprintf(out, ERROR_LINE_MAX, b"SERVER_ERROR too many requests wait for server %s\r\n", name)
    if outcome == EJECTED:
        return snprintf(out, ERROR_LINE_MAX, b"SERVER_ERROR server %s is out of service%s%s\r\n", name,
                        <const char*>(b": " if fault[0] != 0 else b""), fault)
    if outcome == LOST and fault[0] != 0:
        return snprintf(out, ERROR_LINE_MAX, b"SERVER_ERROR server %s: %s\r\n", name, fault)
    return _lost_line(name, lost_error, out) if outcome == LOST else 0


cdef size_t request_error_line(const ClientRequest* request, int outcome, char* out) noexcept nogil:
    cdef uint64_t[TEXT_WORDS] words
    cdef const char* name = <const char*>words
    cdef const char* plain = error_line(outcome)
    cdef int culprit = request_culprit(request, outcome)
    cdef int size = 0
    cdef Server* server
    if culprit >= 0:
        server = request.plan.engine.servers[culprit]
        if _read(server.description, words):
            size = _named_line(outcome, name, name + NAME_MAX, server.lost_error, out)
    if size > 0:
        return <size_t>size
    memcpy(out, plain, strlen(plain))
    return strlen(plain)
