"""Which bytes of a client's pipeline go to which server: mcroute's parser, ring and hash, called from C.

Here a router of one's own needs no engine: one copy of each key, one key a request, no failover.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from mcroute cimport (
    PARSED_CLOSE, PARSED_MORE, PARSED_OK, REPLY_VALUE, REQ_NOREPLY, REQ_QUIET, Limits, ReplyView, RequestView,
    Ring, RingTable, default_limits, error_text, hash_murmur3_32, reply_parse, request_parse, ring_owner,
    ring_size, ring_table,
)

cdef enum:
    BATCH = 1024                # requests taken of one buffer at most
    REFUSED = -1                # instead of a link's index
    NOT_DONE_HERE = -1          # instead of an error of the parser
    LINK_SEED = 1               # not the ring's, whose owners share a range of that hash

cdef struct Piece:
    size_t start
    size_t size
    int link                    # index, or REFUSED
    int error


cdef int _link(const RingTable* ring, int links, const uint8_t* data, const RequestView* view) noexcept nogil:
    """A link to the owner of the request's key; REFUSED for what this router does not do."""
    cdef const uint8_t* key = data + view.key_offset
    if view.key_count != 1 or view.flags & (REQ_NOREPLY | REQ_QUIET):
        return REFUSED
    # One key, one link: its requests do not overtake each other.
    return (ring_owner(ring, key, view.key_size, NULL) * links
            + <int>(hash_murmur3_32(key, view.key_size, LINK_SEED) % <uint32_t>links))


cdef int _split(const RingTable* ring, int links, const uint8_t* data, size_t size, const Limits* limits,
                Piece* pieces, size_t* taken, bint* close) noexcept nogil:
    """Fills in the pieces of the requests in data[0:size]; returns how many."""
    cdef RequestView view
    cdef int count = 0
    cdef int parsed
    taken[0] = 0
    close[0] = False
    while taken[0] < size and count < BATCH:
        parsed = request_parse(data + taken[0], size - taken[0], limits, False, &view)
        if parsed == PARSED_MORE:
            break
        pieces[count] = Piece(taken[0], <size_t>view.size, REFUSED, NOT_DONE_HERE)
        if parsed == PARSED_OK:
            pieces[count].link = _link(ring, links, data + taken[0], &view)
        else:
            pieces[count].error = view.error
        count += 1
        if parsed == PARSED_CLOSE:
            close[0] = True
            taken[0] = size
            break
        taken[0] += <size_t>view.size
    return count


cdef class Splitter:
    """Routes by a ring over `servers` (names), with `links` connections to each.

    The links of the first server have the indices 0 to links - 1, the second server's follow.
    """

    cdef readonly Ring ring
    cdef readonly int links
    cdef Limits limits

    def __cinit__(self, servers, int links=1):
        if links < 1:
            raise ValueError(f"{links} links to a server are too few")
        self.ring = Ring(servers)
        self.links = links
        self.limits = default_limits()

    def split(self, const uint8_t[::1] data not None):
        """Splits pipelined requests by link.

        Returns (taken, outputs, order, close): how many bytes are done with, which may be more than came so
        far; the bytes to send on each link; for each request the link that its reply comes from, or the
        bytes to answer it with; whether to close the client's connection after that.
        """
        cdef Piece[BATCH] pieces
        cdef size_t size = data.shape[0]
        cdef size_t taken = 0
        cdef bint close = False
        cdef int count = 0
        cdef int i
        cdef const uint8_t* start = &data[0] if size else NULL
        cdef const RingTable* table = ring_table(self.ring)
        with nogil:
            count = _split(table, self.links, start, size, &self.limits, pieces, &taken, &close)
        outputs = [_join(start, pieces, count, link) for link in range(ring_size(table) * self.links)]
        order = [_answer(&pieces[i]) if pieces[i].link == REFUSED else pieces[i].link for i in range(count)]
        return taken, outputs, order, close


cdef bytes _join(const uint8_t* data, const Piece* pieces, int count, int link):
    """The link's requests, one behind the other; copied once."""
    cdef size_t size = 0
    cdef char* to
    cdef int i
    for i in range(count):
        if pieces[i].link == link:
            size += pieces[i].size
    joined = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(joined)
    for i in range(count):
        if pieces[i].link == link:
            memcpy(to, data + pieces[i].start, pieces[i].size)
            to += pieces[i].size
    return joined


cdef bytes _answer(const Piece* piece):
    cdef size_t size = 0
    cdef const char* text
    if piece.error == NOT_DONE_HERE:
        return b"SERVER_ERROR one key at a time, and with a reply\r\n"
    text = error_text(piece.error, &size)
    return text[:size]


def reply_size(const uint8_t[::1] data not None):
    """The size of the first whole reply, END of a get included; 0 if it is not whole, -1 if it is none."""
    cdef size_t size = data.shape[0]
    cdef size_t done = 0
    cdef ReplyView view
    cdef int parsed
    while done < size:
        parsed = reply_parse(&data[done], size - done, 1 << 20, &view)
        if parsed == PARSED_MORE:
            return 0
        if parsed != PARSED_OK:
            return -1
        done += <size_t>view.size
        if view.kind != REPLY_VALUE:
            return done
    return 0
