"""Requests and replies as Python objects, and the parsers that make them from bytes."""

cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from mcroute._protocol.binary cimport BINARY_REFUSAL_MAX, binary_refusal
from mcroute._protocol.encoders cimport (
    ENCODE_EXTRA, encode_arithmetic, encode_delete, encode_get, encode_store, encode_touch,
)
from mcroute._protocol.lexing cimport key_is_valid
from mcroute._protocol.refusals cimport ERROR_BINARY, error_text
from mcroute._protocol.replies cimport reply_parse
from mcroute._protocol.requests cimport default_limits, request_binary, request_parse, request_resume
from mcroute._protocol.views cimport (
    CMD_CAS, CMD_DECR, CMD_DELETE, CMD_GET, CMD_GETS, CMD_INCR, CMD_SET, CMD_TOUCH, COMMAND_COUNT, KEY_MAX, Limits,
    PARSED_CLOSE, PARSED_MORE, PARSED_OK, REQ_CANONICAL, REQ_NOREPLY, REQ_QUIET, ReplyView, RequestView,
)

from enum import Enum

from mcroute._protocol.commands import COMMAND_NAMES
from mcroute.errors import LocalProtocolError, RemoteProtocolError


__all__ = (
    "NEED_DATA",
    "REPLY_NAMES",
    "Refusal",
    "Reply",
    "ReplyParser",
    "Request",
    "RequestParser",
    "count_replies",
    "count_requests",
    "encode_request",
)


class _NeedData(Enum):
    """The sentinel NEED_DATA: the message is incomplete. An enum, so that type checkers narrow the type."""

    NEED_DATA = "NEED_DATA"

    def __repr__(self):
        return "NEED_DATA"


NEED_DATA = _NeedData.NEED_DATA
REPLY_NAMES = (
    "VALUE", "END", "STORED", "NOT_STORED", "EXISTS", "NOT_FOUND", "DELETED", "TOUCHED", "OK", "NUMBER", "STAT",
    "VERSION", "ERROR", "CLIENT_ERROR", "SERVER_ERROR", "VA", "HD", "EN", "NF", "NS", "EX", "MN", "ME", "RESET",
    "BUSY",
)

# A parser's room beside the largest message, for a driver's pieces.
HELD_MORE = 1 << 20
HELD_MOST = 1 << 63


cdef Limits _limits_of(value_max, line_max, get_line_max):
    cdef Limits limits = default_limits()
    limits.value_max = value_max
    limits.line_max = line_max
    limits.get_line_max = get_line_max
    return limits


@cython.final
@cython.freelist(64)
cdef class Request:
    """One whole request of a client. `raw` holds its bytes: the line, and the data block with its line end.

    Only `RequestParser` makes requests. All properties are read from `raw` at each access.
    """

    cdef RequestView view
    cdef readonly bytes raw

    @property
    def command(self):
        """The command word, one of COMMAND_NAMES, as in `get` or `mg`."""
        return COMMAND_NAMES[self.view.command]

    @property
    def key(self):
        """The first key, 1 to 250 bytes as sent (a base64 key is not decoded); empty for commands without a key."""
        return self.raw[self.view.key_offset:self.view.key_offset + self.view.key_size]

    @property
    def keys(self):
        """All keys of get, gets, gat and gats, as in the line; for other commands a list of one key or none."""
        return self.raw[self.view.key_offset:self.view.keys_end].split()

    @property
    def value(self):
        """The bytes of the data block, without its line end; None for commands without a data block."""
        if not self.view.value_offset:
            return None
        return self.raw[self.view.value_offset:self.view.value_offset + self.view.value_size]

    @property
    def flags(self):
        """The client flags of a store (meta flag F), an unsigned integer of 32 bits; 0 for other commands."""
        return self.view.client_flags

    @property
    def exptime(self):
        """The lifetime of a store, gat, touch or the meta flag T, or the delay of flush_all, in seconds; else 0.

        As sent: memcached takes more than 30 days for a Unix time, and a negative lifetime for expired.
        """
        return self.view.exptime

    @property
    def number(self):
        """The CAS token of cas or the meta flag C, or the delta of incr, decr and ma; 64 bits, unsigned; else 0."""
        return self.view.number

    @property
    def noreply(self):
        """Whether a classic request ends in `noreply`: the client expects no reply."""
        return bool(self.view.flags & REQ_NOREPLY)

    @property
    def quiet(self):
        """Whether a meta request has the flag q: no reply to a miss of mg, nor to a success of ms, md and ma."""
        return bool(self.view.flags & REQ_QUIET)

    @property
    def canonical(self):
        """Whether `raw` equals what the encoder writes for this request, so that a proxy may forward `raw`."""
        return bool(self.view.flags & REQ_CANONICAL)

    @property
    def opaque(self):
        """The token of a meta request's flag O, at most 31 bytes without the letter; empty without the flag."""
        return self.raw[self.view.opaque_offset:self.view.opaque_offset + self.view.opaque_size]

    @property
    def meta_flags(self):
        """A list of a meta request's flags, each with its token as sent (`[b"v", b"T30"]`); for stats its arguments."""
        return self.raw[self.view.flags_offset:self.view.flags_end].split()


@cython.final
@cython.freelist(64)
cdef class Refusal:
    """A refused request. `reply` is the line to answer, with its line end, or empty: then nothing is answered.

    `close` is true where the parser cannot find the next request: answer, and close the connection. `line` is the
    request's line as sent, with its line end; empty for a line without an end and for the binary protocol.
    """

    cdef readonly bytes line
    cdef readonly bytes reply
    cdef readonly bint close


@cython.final
@cython.freelist(64)
cdef class Reply:
    """One reply line of a server with its data block, if it has one. `raw` holds the bytes, with all line ends.

    Only `ReplyParser` makes replies. A get is answered by one reply for each VALUE, and by END.
    """

    cdef ReplyView view
    cdef readonly bytes raw

    @property
    def kind(self):
        """The kind of reply, one of REPLY_NAMES: its first word, or NUMBER for a line that is a number."""
        return REPLY_NAMES[self.view.kind]

    @property
    def key(self):
        """The key of VALUE and ME, or of a meta reply with the flag k, as sent; else empty."""
        return self.raw[self.view.key_offset:self.view.key_offset + self.view.key_size]

    @property
    def value(self):
        """The bytes of the data block of VALUE or VA, without its line end; None for other kinds."""
        if not self.view.value_offset:
            return None
        return self.raw[self.view.value_offset:self.view.value_offset + self.view.value_size]

    @property
    def flags(self):
        """The client flags of VALUE, or of a meta reply with the flag f; at most 64 bits, unsigned; else 0."""
        return self.view.client_flags

    @property
    def number(self):
        """The new number after incr or decr, or the CAS token as in `cas`; 64 bits, unsigned; else 0."""
        return self.view.number

    @property
    def cas(self):
        """The CAS token of VALUE after gets or gats, or of a meta reply with the flag c: 64 bits; else None."""
        return self.view.number if self.view.has_cas else None

    @property
    def opaque(self):
        """The token of a meta reply's flag O, at most 31 bytes without the letter; empty without the flag."""
        return self.raw[self.view.opaque_offset:self.view.opaque_offset + self.view.opaque_size]


cdef class _Feed:
    """Bytes fed and not yet consumed, those to be swallowed, and the size worth parsing again at."""

    cdef bytearray held
    cdef uint64_t held_max  # above the size of any message
    cdef bint closed        # later bytes are ignored
    cdef size_t at
    cdef uint64_t drop
    cdef uint64_t wanted

    def __cinit__(self):
        self.held = bytearray()

    @cython.critical_section
    def feed(self, data):
        """Adds a copy of the bytes to those held. Take messages until NEED_DATA before the next call.

        Raises BufferError, and adds nothing, while more bytes are held than the largest message has.
        """
        if self.closed:
            return
        if len(self.held) - self.at > self.held_max:
            raise BufferError(f"{len(self.held) - self.at} bytes are held: take messages until NEED_DATA first")
        if self.at:
            del self.held[:self.at]
            self.at = 0
        self.held += data

    cdef bint ready(self):
        cdef uint64_t here = len(self.held) - self.at
        cdef uint64_t dropped = here if here < self.drop else self.drop
        self.at += dropped
        self.drop -= dropped
        return here - dropped > 0 and here - dropped >= self.wanted

    cdef const uint8_t* data(self):
        return <const uint8_t*><char*>self.held + self.at

    cdef bytes take(self, uint64_t size):
        cdef bytes raw = (<char*>self.data())[:size]
        self.at += size
        self.wanted = 0
        return raw


cdef class RequestParser(_Feed):
    """Turns a client's bytes into Request and Refusal objects. Limits are in bytes.

    A line above `line_max`, of get and gets above `get_line_max`, is a Refusal that closes: a Request has all keys of
    its line, and this bounds its memory. The engine splits a longer get into parts, and takes any number of keys.
    """

    cdef Limits limits
    cdef size_t scanned     # bytes of the message that hold no line feed
    cdef bint first
    cdef bint binary        # the client speaks the binary protocol

    @cython.critical_section
    def __init__(self, value_max=1 << 20, line_max=2048, get_line_max=1 << 20):
        self.limits = _limits_of(value_max, line_max, get_line_max)
        self.held_max = min(value_max + max(line_max, get_line_max) + HELD_MORE, HELD_MOST)
        self.first = True

    @cython.critical_section
    def next_message(self):
        """The next Request or Refusal, or NEED_DATA; always NEED_DATA behind a Refusal that closes."""
        cdef Request request
        cdef Refusal refusal
        cdef RequestView view
        cdef size_t size
        cdef const char* text
        cdef uint8_t[BINARY_REFUSAL_MAX] binary
        cdef int parsed
        if self.closed or not self.ready():
            return NEED_DATA
        size = len(self.held) - self.at
        if self.binary:
            parsed = request_binary(self.data(), size, &view)
        else:
            parsed = request_resume(self.data(), size, self.scanned, &self.limits, self.first, &view)
        if parsed == PARSED_MORE:
            self.wanted = view.size
            self.scanned = size if view.line_size == 0 else 0
            return NEED_DATA
        self.first = False
        self.scanned = 0
        if parsed == PARSED_OK:
            request = Request.__new__(Request)
            request.view = view
            request.raw = self.take(view.size)
            return request
        refusal = Refusal.__new__(Refusal)
        refusal.line = (<char*>self.data())[:view.line_size]
        text = error_text(view.error, &size)
        if view.error == ERROR_BINARY:
            self.binary = True
            size = binary_refusal(binary, self.data())
            text = <const char*>binary
        refusal.reply = text[:size]
        refusal.close = self.closed = parsed == PARSED_CLOSE
        self.drop = view.size
        self.wanted = 0
        return refusal


cdef class ReplyParser(_Feed):
    """Turns a server's bytes into Reply objects. `value_max`, in bytes, caps a data block."""

    cdef uint64_t value_max

    @cython.critical_section
    def __init__(self, value_max=1 << 20):
        self.value_max = value_max
        self.held_max = min(value_max + HELD_MORE, HELD_MOST)

    @cython.critical_section
    def next_message(self):
        """The next Reply, or NEED_DATA. Raises RemoteProtocolError on anything that is not a reply."""
        cdef Reply reply
        cdef ReplyView view
        cdef int parsed
        if not self.ready():
            return NEED_DATA
        parsed = reply_parse(self.data(), len(self.held) - self.at, self.value_max, &view)
        if parsed == PARSED_MORE:
            self.wanted = view.size
            return NEED_DATA
        if parsed != PARSED_OK:
            shown = bytes(self.held[self.at:self.at + 60])
            raise RemoteProtocolError(f"the server's bytes are no reply: {shown!r}")
        reply = Reply.__new__(Reply)
        reply.view = view
        reply.raw = self.take(view.size)
        return reply


def count_requests(const uint8_t[::1] data not None):
    """Whole requests at the start of the bytes; refused ones end the count."""
    cdef Limits limits = default_limits()
    cdef RequestView view
    cdef size_t at = 0
    cdef size_t count = 0
    while at < <size_t>data.shape[0]:
        if request_parse(&data[at], data.shape[0] - at, &limits, False, &view) != PARSED_OK:
            break
        at += view.size
        count += 1
    return count


def count_replies(const uint8_t[::1] data not None):
    """Whole replies at the start of the bytes; a bad one ends the count."""
    cdef ReplyView view
    cdef size_t at = 0
    cdef size_t count = 0
    while at < <size_t>data.shape[0]:
        if reply_parse(&data[at], data.shape[0] - at, 1 << 20, &view) != PARSED_OK:
            break
        at += view.size
        count += 1
    return count


def encode_request(str command, bytes key, *, value=b"", flags=0, exptime=0, number=0):
    """The canonical bytes of one classic request.

    `command` is get, gets, set, add, replace, append, prepend, cas, delete, incr, decr or touch. `value` and
    `flags` are those of a store, `exptime` (seconds) that of a store or touch, `number` the token of cas or the
    delta of incr and decr; options that the command does not have are ignored.

    Raises LocalProtocolError for a bad key, ValueError for another command, OverflowError for a number out of
    range (`flags` 64 bits, `exptime` signed 64, `number` 64), TypeError for a `value` that is not bytes.
    """
    cdef uint8_t out[KEY_MAX + ENCODE_EXTRA]
    cdef const uint8_t* at = key
    cdef size_t size = len(key)
    cdef size_t used
    cdef int code = COMMAND_NAMES.index(command) if command in COMMAND_NAMES else COMMAND_COUNT
    cdef bytes payload = value
    if not key_is_valid(at, size):
        raise LocalProtocolError("a key has 1 to 250 bytes, none a control character or a space")
    if code == CMD_GET or code == CMD_GETS:
        used = encode_get(out, at, size, code == CMD_GETS)
    elif CMD_SET <= code <= CMD_CAS:
        used = encode_store(out, code, at, size, flags, exptime, len(payload), number)
        return (<char*>out)[:used] + payload + b"\r\n"
    elif code == CMD_DELETE:
        used = encode_delete(out, at, size)
    elif code == CMD_INCR or code == CMD_DECR:
        used = encode_arithmetic(out, code, at, size, number)
    elif code == CMD_TOUCH:
        used = encode_touch(out, at, size, exptime)
    else:
        raise ValueError(f"no encoder for {command}")
    return (<char*>out)[:used]
