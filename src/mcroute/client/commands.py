"""A client's commands: checks and encodes their requests, and decodes the answers, without waiting.

Clients on other event loops can use the same commands: they send the request and pass the answer back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from .batches import Batches, Pieces, change_each, fetch_each, send_each, written
from .errors import IllegalInput, UnexpectedReply
from .requests import Key, RequestWriter, Serde, several
from .results import Answer, Item, items, number, one_of

__all__ = ("Command", "Commands")

T = TypeVar("T")

_STORED = {b"STORED": True, b"NOT_STORED": False}
_SWAPPED = {b"STORED": True, b"EXISTS": False, b"NOT_FOUND": None}
_DELETED = {b"DELETED": True, b"NOT_FOUND": False}
_TOUCHED = {b"TOUCHED": True, b"NOT_FOUND": False}
_FLUSHED = {b"OK": True}


@dataclass(slots=True)
class Command(Generic[T]):
    """One request, and `decode`, which returns the result for an answer, or raises the answer's exception.

    With `is_noreply` the client does not wait for the answer, and the result is `unanswered`; but a request
    that could not be sent has an answer, which `decode` gets.
    """

    request: bytes
    decode: Callable[[Answer], T]
    is_noreply: bool = False
    unanswered: T | None = None


class Commands:
    """A client's commands: a `Command` for one key, `Batches` for many keys. Arguments are pymemcache's.

    `serde` converts values to bytes and back. `default_noreply` is the default of `noreply` for the commands
    for which it is in pymemcache. `expire` is in seconds, as in memcached: 0 is for ever, more than 30 days
    is a Unix time. Every command raises IllegalInput, which names the argument, before a request is sent.
    """

    def __init__(self, write: RequestWriter, serde: Serde, default_noreply: bool) -> None:
        self._write = write
        self.serde = serde
        self.default_noreply = default_noreply

    # ---- reading ----

    def get(self, key: Key, default: Any = None) -> Command[Any]:
        """The value, or `default`."""
        request = b"get %b\r\n" % self._write.key(key)
        return _read(request, "get", key, self._value, default)

    def gets(self, key: Key, default: Any = None, cas_default: Any = None) -> Command[tuple[Any, Any]]:
        """The value and its token for `cas`, as bytes; or both defaults."""
        request = b"gets %b\r\n" % self._write.key(key)
        return _read(request, "gets", key, self._value_and_token, (default, cas_default))

    def get_many(self, keys: Iterable[Key]) -> Batches[dict[Key, Any]]:
        """The values of the keys that were found, in the order of `keys`, by the keys as given.

        If the server of one key fails, the whole command fails. Asks for at most 1000 keys at a time.
        """
        return self._fetch(b"get", keys, self._value)

    def gets_many(self, keys: Iterable[Key]) -> Batches[dict[Key, tuple[Any, Any]]]:
        """As `get_many`; each value with its token for `cas`."""
        return self._fetch(b"gets", keys, self._value_and_token)

    def gat(self, key: Key, expire: int = 0, default: Any = None) -> Command[Any]:
        """The value, or `default`. From now on the value expires after `expire` seconds."""
        request = self._write.get_and_touch(b"gat", key, expire)
        return _read(request, "gat", key, self._value, default)

    def gats(
        self, key: Key, expire: int = 0, default: Any = None, cas_default: Any = None
    ) -> Command[tuple[Any, Any]]:
        """As `gat`, with the token for `cas`."""
        request = self._write.get_and_touch(b"gats", key, expire)
        return _read(request, "gats", key, self._value_and_token, (default, cas_default))

    def _fetch(
        self, command: bytes, keys: Iterable[Key], convert: Callable[[Key, Item], T]
    ) -> Batches[dict[Key, T]]:
        keys = several(keys)
        names = yield from written(lambda i, key: self._write.key(key, f"keys[{i}]"), keys)
        write = partial(self._write.get, command)
        return (yield from fetch_each(command.decode(), names, keys, write, convert))

    def _value(self, key: Key, item: Item) -> Any:
        return self.serde.deserialize(key, item[3], item[1])

    def _value_and_token(self, key: Key, item: Item) -> tuple[Any, Any]:
        if item[2] is None:
            raise UnexpectedReply(f"gets {key!r}: answered without a token")
        return self._value(key, item), b"%d" % item[2]

    # ---- storing ----

    def set(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> Command[bool]:
        """Stores the value for `expire` seconds. Returns True. `flags` replace the serde's flags."""
        return self._store(b"set", key, value, expire, noreply, flags)

    def add(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> Command[bool]:
        """Stores the value for `expire` seconds if the key has none. Returns whether it was stored."""
        return self._store(b"add", key, value, expire, noreply, flags)

    def replace(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> Command[bool]:
        """Stores the value for `expire` seconds if the key has one. Returns whether it was stored."""
        return self._store(b"replace", key, value, expire, noreply, flags)

    def append(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> Command[bool]:
        """Appends to the key's value. Returns False if the key has none. Servers ignore `expire`."""
        return self._store(b"append", key, value, expire, noreply, flags)

    def prepend(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> Command[bool]:
        """Prepends to the key's value. Returns False if the key has none. Servers ignore `expire`."""
        return self._store(b"prepend", key, value, expire, noreply, flags)

    def cas(
        self,
        key: Key,
        value: Any,
        cas: bytes | str | int,
        expire: int = 0,
        noreply: bool = False,
        flags: int | None = None,
    ) -> Command[bool | None]:
        """Stores the value for `expire` seconds if the key's value has the token `cas`, as from `gets`.

        Returns True if the value was stored, False if the key's value has changed, None if it has none.
        """
        request = self._write.store(b"cas", key, value, expire, flags, self._write.token(cas))
        return self._change(request, noreply, _SWAPPED, "cas", key)

    def set_many(
        self,
        values: Mapping[Key, Any],
        expire: int = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> Batches[list[Key]]:
        """Stores all values for `expire` seconds. Returns the keys that servers did not store.

        If some keys fail, the others are stored, and the exception's `keys` are the failed ones. When no
        server answers a batch of 250 in time, the remaining keys are not sent, and fail too. With `noreply`
        the client sends at most 1000 keys at a time, and does not wait for the last batch.
        """
        if not isinstance(values, Mapping):
            raise IllegalInput(f"must be a mapping of keys to values, not {type(values).__name__}", "values")
        # Copied, because other tasks may change the mapping meanwhile.
        keys, contents = tuple(values), tuple(values.values())

        def write(i: int, key: Key) -> bytes:
            return self._write.store(b"set", key, contents[i], expire, flags, place=f"values[{key!r}]")

        requests = yield from written(write, keys)
        return (yield from self._change_each(requests, keys, noreply, _STORED, "set"))

    def _store(
        self, command: bytes, key: Key, value: Any, expire: int, noreply: bool | None, flags: int | None
    ) -> Command[bool]:
        request = self._write.store(command, key, value, expire, flags)
        return self._change(request, noreply, _STORED, command.decode(), key)

    # ---- changing ----

    def delete(self, key: Key, noreply: bool | None = None) -> Command[bool]:
        """Deletes the key's value. Returns whether the key had one."""
        return self._change(self._write.delete(key), noreply, _DELETED, "delete", key)

    def delete_many(self, keys: Iterable[Key], noreply: bool | None = None) -> Batches[bool]:
        """Deletes the values of all keys. Returns True, also if some keys had no value.

        If some keys fail, the others are deleted, and the exception's `keys` are the failed ones. With
        `noreply` the client sends at most 1000 keys at a time, and does not wait for the last batch.
        """
        keys = several(keys)
        requests = yield from written(lambda i, key: self._write.delete(key, f"keys[{i}]"), keys)
        yield from self._change_each(requests, keys, noreply, _DELETED, "delete")
        return True

    def incr(self, key: Key, value: int, noreply: bool = False) -> Command[int | None]:
        """Adds `value` to the key's number. Returns the new number, or None if the key has no value.

        Raises RequestRefused if the key's value is no number.
        """
        return self._count(b"incr", key, value, noreply)

    def decr(self, key: Key, value: int, noreply: bool = False) -> Command[int | None]:
        """As `incr`, but subtracts; the new number is at least 0."""
        return self._count(b"decr", key, value, noreply)

    def touch(self, key: Key, expire: int = 0, noreply: bool | None = None) -> Command[bool]:
        """Lets the key's value expire after `expire` seconds. Returns whether the key has a value."""
        return self._change(self._write.touch(key, expire), noreply, _TOUCHED, "touch", key)

    def flush_all(self, delay: int = 0, noreply: bool | None = None) -> Command[bool]:
        """Flushes every server, now or after `delay` seconds. Returns True when all have accepted that."""
        return self._change(self._write.flush_all(delay), noreply, _FLUSHED, "flush_all")

    def _count(self, command: bytes, key: Key, value: int, noreply: bool) -> Command[int | None]:
        request, name = self._write.arithmetic(command, key, value), command.decode()
        return Command(request, lambda answer: number(answer, name, key), noreply)

    def _change(
        self,
        request: bytes,
        noreply: bool | None,
        meanings: Mapping[bytes, T],
        command: str,
        *keys: Key,
    ) -> Command[T | bool]:
        """A command whose reply is one of the lines `meanings`."""
        is_noreply = self.default_noreply if noreply is None else noreply
        return Command(request, lambda answer: one_of(answer, meanings, command, *keys), is_noreply, True)

    def _change_each(
        self,
        requests: Pieces,
        keys: Sequence[Key],
        noreply: bool | None,
        meanings: Mapping[bytes, bool],
        command: str,
    ) -> Batches[list[Key]]:
        """Sends the requests. Returns the keys whose reply means False; none with noreply."""
        if self.default_noreply if noreply is None else noreply:
            yield from send_each(command, requests, keys)
            return []
        return (yield from change_each(command, requests, keys, meanings))


def _read(
    request: bytes, command: str, key: Key, convert: Callable[[Key, Item], T], default: T
) -> Command[T]:
    """A command whose reply is one item or a miss."""

    def decode(answer: Answer) -> T:
        found = items(answer, command, key)
        return convert(key, found[0]) if found else default

    return Command(request, decode)
