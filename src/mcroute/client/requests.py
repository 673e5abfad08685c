"""A client's arguments as requests: checked, serialized and encoded before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from ..policy.limits import VALUE_MAX
from .errors import IllegalInput

__all__ = ("Key", "PlainSerde", "RequestWriter", "Serde", "checked_integer", "several", "stats_arguments")

Key = str | bytes

_KEY = re.compile(rb"[^\x00-\x20\x7f]{1,250}")
_INT32 = 1 << 31
_UINT32 = (1 << 32) - 1
_UINT64 = (1 << 64) - 1


class Serde(Protocol):
    """pymemcache's interface: converts values to bytes and 32 bits of flags, and back.

    Both methods get the key as the caller wrote it. `serialize` may return bytes, str or a number.
    """

    def serialize(self, key: Any, value: Any) -> tuple[Any, int]: ...

    def deserialize(self, key: Any, value: bytes, flags: int) -> Any: ...


class PlainSerde:
    """Stores bytes, text and numbers as bytes, and returns bytes: pymemcache's default."""

    def serialize(self, key: Any, value: Any) -> tuple[Any, int]:
        return value, 0

    def deserialize(self, key: Any, value: bytes, flags: int) -> Any:
        return value


def checked_integer(value: object, place: str, least: int, most: int) -> int:
    """The value as an int. Raises IllegalInput unless it is an int from `least` to `most`."""
    if not isinstance(value, int):
        raise IllegalInput(f"must be an integer, not {value!r}", place)
    if not least <= value <= most:
        raise IllegalInput(f"{value} is not between {least} and {most}", place)
    # Converts a bool, which would be formatted as True.
    return int(value)


def several(keys: Iterable[Key]) -> tuple[Key, ...]:
    """The keys as a tuple. Raises IllegalInput for a str or bytes: each of its characters would be a key."""
    if isinstance(keys, str | bytes):
        raise IllegalInput(f"must be several keys, not one: {keys!r}", "keys")
    return tuple(keys)


def stats_arguments(arguments: Iterable[str]) -> bytes:
    """The arguments of `stats`, encoded. Raises IllegalInput unless they are printable ASCII."""
    words = " ".join(arguments)
    if not words.isascii() or not words.isprintable():
        raise IllegalInput(f"must be printable ASCII, not {words!r}", "arguments")
    return words.encode()


class RequestWriter:
    """Writes requests of classic commands. Every method raises IllegalInput, which names the argument.

    `key_prefix` goes before each key; `encoding` is the encoding of values that are text. Keys are ASCII, or
    UTF-8 with `allow_unicode_keys`. Values have at most `value_max` bytes.
    """

    def __init__(
        self,
        serde: Serde,
        key_prefix: Key,
        encoding: str = "ascii",
        allow_unicode_keys: bool = False,
        value_max: int = VALUE_MAX,
    ) -> None:
        self.serde = serde
        self._value_max = value_max
        self._encoding = encoding
        self._key_encoding = "utf-8" if allow_unicode_keys else "ascii"
        self._prefix = b""
        if key_prefix:
            self._prefix = self.key(key_prefix, "key_prefix")

    def key(self, key: Key, place: str = "key") -> bytes:
        """The key with its prefix, encoded."""
        try:
            encoded = key.encode(self._key_encoding) if isinstance(key, str) else key
        except UnicodeEncodeError:
            raise IllegalInput(f"{key!r} is not ASCII; see allow_unicode_keys", place) from None
        if not isinstance(encoded, bytes):
            raise IllegalInput(f"must be str or bytes, not {key!r}", place)
        encoded = self._prefix + encoded
        if _KEY.fullmatch(encoded) is None:
            raise IllegalInput(_fault_of_key(encoded), place)
        return encoded

    def get(self, command: bytes, keys: Iterable[bytes]) -> bytes:
        """A request for several keys; `command` is get or gets."""
        return b"%b %b\r\n" % (command, b" ".join(keys))

    def get_and_touch(self, command: bytes, key: Key, expire: int) -> bytes:
        """A request for one key; `command` is gat or gats."""
        return b"%b %d %b\r\n" % (command, _exptime(expire), self.key(key))

    def store(
        self,
        command: bytes,
        key: Key,
        value: Any,
        expire: int,
        flags: int | None,
        token: bytes = b"",
        place: str = "value",
    ) -> bytes:
        """A request of set, add, replace, append, prepend, or of cas with its token."""
        sent_key = self.key(key, "key" if place == "value" else place)
        serialized, chosen = self.serde.serialize(key, value)
        data = self._value(serialized, place)
        number = checked_integer(chosen if flags is None else flags, "flags", 0, _UINT32)
        exptime = _exptime(expire)
        if token:
            return b"%b %b %d %d %d %b\r\n%b\r\n" % (
                command, sent_key, number, exptime, len(data), token, data,
            )  # fmt: skip
        return b"%b %b %d %d %d\r\n%b\r\n" % (command, sent_key, number, exptime, len(data), data)

    def delete(self, key: Key, place: str = "key") -> bytes:
        return b"delete %b\r\n" % self.key(key, place)

    def arithmetic(self, command: bytes, key: Key, value: int) -> bytes:
        """A request for one key; `command` is incr or decr."""
        return b"%b %b %d\r\n" % (command, self.key(key), checked_integer(value, "value", 0, _UINT64))

    def touch(self, key: Key, expire: int) -> bytes:
        return b"touch %b %d\r\n" % (self.key(key), _exptime(expire))

    def flush_all(self, delay: int) -> bytes:
        return b"flush_all %d\r\n" % _exptime(delay, "delay")

    def token(self, cas: object) -> bytes:
        """The token, encoded: `cas` is a token from `gets`, an int or text of digits."""
        text = str(cas) if isinstance(cas, int) else cas
        if isinstance(text, str) and text.isascii():
            text = text.encode()
        if not isinstance(text, bytes) or not text.isdigit() or int(text) > _UINT64:
            raise IllegalInput(f"must be a token from gets, not {cas!r}", "cas")
        return text

    def _value(self, value: object, place: str) -> bytes:
        if isinstance(value, bytes | bytearray | memoryview):
            data = bytes(value)
        elif isinstance(value, str | int | float):
            try:
                data = str(value).encode(self._encoding)
            except UnicodeEncodeError:
                raise IllegalInput(f"text that is not {self._encoding}; see encoding", place) from None
        else:
            raise IllegalInput(
                f"must be bytes, str or a number, not {type(value).__name__}; a serde stores the rest", place
            )
        if len(data) > self._value_max:
            raise IllegalInput(f"{len(data)} bytes are more than {self._value_max}", place)
        return data


def _exptime(seconds: object, place: str = "expire") -> int:
    return checked_integer(seconds, place, -_INT32, _INT32 - 1)


def _fault_of_key(key: bytes) -> str:
    if not key:
        return "a key has at least one byte"
    if len(key) > 250:
        return f"{key[:40]!r}... has {len(key)} bytes with its prefix, a key has at most 250"
    return f"{key!r} has a blank or a control character"
