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
    """One whole request. `raw` holds its bytes, line and data block."""

    raw: Final[bytes]
    @property
    def command(self) -> str:
        """The command word, one of COMMAND_NAMES, as in `get` or `mg`."""
    @property
    def key(self) -> bytes:
        """The first key, as it was sent (a base64 key encoded); empty for commands without one."""
    @property
    def keys(self) -> list[bytes]:
        """All keys of get, gets, gat and gats, in their order; of other commands the one, if any."""
    @property
    def value(self) -> bytes | None:
        """The data block without its line end; None for commands without one."""
    @property
    def flags(self) -> int:
        """The client flags of a store, classic or by the meta flag F, 32 bits; else 0."""
    @property
    def exptime(self) -> int:
        """Seconds as sent: the lifetime of a store, gat, touch or the meta flag T, flush_all's delay; else 0."""
    @property
    def number(self) -> int:
        """The token of cas and the meta flag C, or the delta of incr, decr and ma, 64 bits; else 0."""
    @property
    def noreply(self) -> bool:
        """Whether a classic request wants no reply."""
    @property
    def quiet(self) -> bool:
        """Whether a meta request has the flag q, which suppresses the usual reply."""
    @property
    def canonical(self) -> bool:
        """Whether `raw` is the canonical encoding, and may be forwarded unchanged."""
    @property
    def opaque(self) -> bytes:
        """The token of a meta request's flag O, without the letter; empty without one."""
    @property
    def meta_flags(self) -> list[bytes]:
        """A meta request's flags with their tokens, as they were sent; the words behind stats."""

@final
class Refusal:
    """A refused request: answer `reply` (may be empty), and hang up if `close`."""

    reply: Final[bytes]
    close: Final[bool]

@final
class Reply:
    """One reply line with its data block; `raw` holds the bytes."""

    raw: Final[bytes]
    @property
    def kind(self) -> str:
        """The kind of reply, one of REPLY_NAMES: its first word, or NUMBER for a line that is a number."""
    @property
    def key(self) -> bytes:
        """The key of VALUE and ME, or of a meta reply with the flag k; else empty."""
    @property
    def value(self) -> bytes | None:
        """The data block of VALUE or VA, without its line end; None for other kinds."""
    @property
    def flags(self) -> int:
        """The client flags of VALUE, or of a meta reply with the flag f; else 0. 64 bits at most."""
    @property
    def number(self) -> int:
        """The number of incr or decr, or the token in the reply to `cas`, 64 bits; else 0."""
    @property
    def cas(self) -> int | None:
        """The token of VALUE to gets and gats, or of a meta reply with the flag c; else None."""
    @property
    def opaque(self) -> bytes:
        """The token of a meta reply's flag O, without the letter; empty without one."""

class RequestParser:
    """Turns a client's bytes into Request and Refusal objects. Limits are in bytes.

    A line above `line_max`, of get and gets above `get_line_max`, is a Refusal that closes: a Request has all keys of
    its line, and this bounds its memory. The engine splits a longer get into parts, and takes any number of keys.
    """

    def __init__(self, value_max: int = ..., line_max: int = ..., get_line_max: int = ...) -> None: ...
    def feed(self, data: bytes) -> None:
        """Adds bytes, as many or few as there are, behind those not consumed yet; they are copied."""
    def next_message(self) -> Request | Refusal | _NeedData:
        """The next Request or Refusal, or NEED_DATA; always NEED_DATA behind a Refusal that closes."""

class ReplyParser:
    """Turns a server's bytes into Reply objects. `value_max`, in bytes, caps a data block."""

    def __init__(self, value_max: int = ...) -> None: ...
    def feed(self, data: bytes) -> None:
        """Adds bytes, as many or few as there are, behind those not consumed yet; they are copied."""
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
