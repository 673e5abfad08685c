from enum import Enum
from typing import Final, final

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

REPLY_NAMES: Final[tuple[str, ...]]

class _NeedData(Enum):
    NEED_DATA = "NEED_DATA"

NEED_DATA: Final = _NeedData.NEED_DATA

@final
class Request:
    """One whole request of a client. `raw` holds its bytes: the line, and the data block with its line end.

    Only `RequestParser` makes requests. All properties are read from `raw` at each access.
    """

    raw: Final[bytes]
    @property
    def command(self) -> str:
        """The command word, one of COMMAND_NAMES, as in `get` or `mg`."""
    @property
    def key(self) -> bytes:
        """The first key, 1 to 250 bytes as sent (a base64 key is not decoded); empty for commands without a key."""
    @property
    def keys(self) -> list[bytes]:
        """All keys of get, gets, gat and gats, as in the line; for other commands a list of one key or none."""
    @property
    def value(self) -> bytes | None:
        """The bytes of the data block, without its line end; None for commands without a data block."""
    @property
    def flags(self) -> int:
        """The client flags of a store (meta flag F), an unsigned integer of 32 bits; 0 for other commands."""
    @property
    def exptime(self) -> int:
        """The lifetime of a store, gat, touch or the meta flag T, or the delay of flush_all, in seconds; else 0.

        As sent: memcached takes more than 30 days for a Unix time, and a negative lifetime for expired.
        """
    @property
    def number(self) -> int:
        """The CAS token of cas or the meta flag C, or the delta of incr, decr and ma; 64 bits, unsigned; else 0."""
    @property
    def noreply(self) -> bool:
        """Whether a classic request ends in `noreply`: the client expects no reply."""
    @property
    def quiet(self) -> bool:
        """Whether a meta request has the flag q: no reply to a miss of mg, nor to a success of ms, md and ma."""
    @property
    def canonical(self) -> bool:
        """Whether `raw` equals what the encoder writes for this request, so that a proxy may forward `raw`."""
    @property
    def opaque(self) -> bytes:
        """The token of a meta request's flag O, at most 31 bytes without the letter; empty without the flag."""
    @property
    def meta_flags(self) -> list[bytes]:
        """A list of a meta request's flags, each with its token as sent (`[b"v", b"T30"]`); for stats its arguments."""

@final
class Refusal:
    """A refused request. `reply` is the line to answer, with its line end, or empty: then nothing is answered.

    `close` is true where the parser cannot find the next request: answer, and close the connection. `line` is the
    request's line as sent, with its line end; empty for a line without an end and for the binary protocol.
    """

    line: Final[bytes]
    reply: Final[bytes]
    close: Final[bool]

@final
class Reply:
    """One reply line of a server with its data block, if it has one. `raw` holds the bytes, with all line ends.

    Only `ReplyParser` makes replies. A get is answered by one reply for each VALUE, and by END.
    """

    raw: Final[bytes]
    @property
    def kind(self) -> str:
        """The kind of reply, one of REPLY_NAMES: its first word, or NUMBER for a line that is a number."""
    @property
    def key(self) -> bytes:
        """The key of VALUE and ME, or of a meta reply with the flag k, as sent; else empty."""
    @property
    def value(self) -> bytes | None:
        """The bytes of the data block of VALUE or VA, without its line end; None for other kinds."""
    @property
    def flags(self) -> int:
        """The client flags of VALUE, or of a meta reply with the flag f; at most 64 bits, unsigned; else 0."""
    @property
    def number(self) -> int:
        """The new number after incr or decr, or the CAS token as in `cas`; 64 bits, unsigned; else 0."""
    @property
    def cas(self) -> int | None:
        """The CAS token of VALUE after gets or gats, or of a meta reply with the flag c: 64 bits; else None."""
    @property
    def opaque(self) -> bytes:
        """The token of a meta reply's flag O, at most 31 bytes without the letter; empty without the flag."""

class RequestParser:
    """Turns a client's bytes into Request and Refusal objects. Limits are in bytes.

    A line above `line_max`, of get and gets above `get_line_max`, is a Refusal that closes: a Request has all keys of
    its line, and this bounds its memory. The engine splits a longer get into parts, and takes any number of keys.
    """

    def __init__(self, value_max: int = ..., line_max: int = ..., get_line_max: int = ...) -> None: ...
    def feed(self, data: bytes) -> None:
        """Adds bytes behind those held; they are copied. Take messages until NEED_DATA before the next call.

        Raises BufferError, and adds nothing, while more bytes are held than the largest message has.
        """
    def next_message(self) -> Request | Refusal | _NeedData:
        """The next Request or Refusal, or NEED_DATA; always NEED_DATA behind a Refusal that closes."""

class ReplyParser:
    """Turns a server's bytes into Reply objects. `value_max`, in bytes, caps a data block."""

    def __init__(self, value_max: int = ...) -> None: ...
    def feed(self, data: bytes) -> None:
        """Adds bytes behind those held; they are copied. Take messages until NEED_DATA before the next call.

        Raises BufferError, and adds nothing, while more bytes are held than the largest message has.
        """
    def next_message(self) -> Reply | _NeedData:
        """The next Reply, or NEED_DATA. Raises RemoteProtocolError on anything that is not a reply."""

def count_requests(data: bytes) -> int:
    """Whole requests at the start of the bytes; refused ones end the count."""

def count_replies(data: bytes) -> int:
    """Whole replies at the start of the bytes; a bad one ends the count."""

def encode_request(
    command: str, key: bytes, *, value: bytes = ..., flags: int = ..., exptime: int = ..., number: int = ...
) -> bytes:
    """The canonical bytes of one classic request.

    `command` is get, gets, set, add, replace, append, prepend, cas, delete, incr, decr or touch. `value` and
    `flags` are those of a store, `exptime` (seconds) that of a store or touch, `number` the token of cas or the
    delta of incr and decr; options that the command does not have are ignored.

    Raises LocalProtocolError for a bad key, ValueError for another command, OverflowError for a number out of
    range (`flags` 64 bits, `exptime` signed 64, `number` 64), TypeError for a `value` that is not bytes.
    """
