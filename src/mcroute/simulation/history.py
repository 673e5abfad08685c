"""The history of a simulation: calls of clients with their results, faults, and lines of the log."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

__all__ = ("Call", "Event", "History", "Operation", "Result", "first_count", "read_value", "write_value")

# Keys with this prefix, a dash and a number hold numbers.
COUNTER = "count"
# The counters begin so far from each other, so that their numbers name them.
COUNTS_APART = 1_000_000


@dataclass(frozen=True, slots=True)
class Operation:
    """A command that one client sends. `number` is unique; the client waits until `at_s` of its run.

    `kind` is the name of a method of the client: get, get_many, gets, set, add, replace, delete, cas, incr,
    touch or gat. A cas reads the key with gets first. A get_many also reads `more_keys`, and is one call for
    each key. `ttl_s` is the lifetime of what it stores; 0 is for ever. The client gives up after `limit_s`,
    unless that is 0. With `is_quiet` a set or delete has no reply (noreply), and counts as failed.
    """

    number: int
    client: int
    at_s: float
    kind: str
    key: str
    ttl_s: int = 0
    more_keys: tuple[str, ...] = ()
    limit_s: float = 0.0
    is_quiet: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key, *self.more_keys)

    @property
    def is_counter(self) -> bool:
        """Whether the key holds a number, for incr."""
        return self.key.startswith(COUNTER)


class Result(Enum):
    """How a call ended."""

    OK = "ok"  # found, stored, deleted, counted, touched
    MISS = "miss"  # nothing is stored under the key
    DECLINED = "declined"  # an add of an existing key, a cas of a changed one: nothing was written
    FAILED = "failed"  # an error; a write may still have happened, or happen later


@dataclass(frozen=True, slots=True)
class Call:
    """One command on one key, from the time of sending to the time of the answer, in seconds.

    `value` is what the command returned, empty if nothing. `token` is the CAS token of a gets, or the one
    that a cas used; `seen_at` is the time when its gets was sent. `what` is the text of an error.
    """

    operation: Operation
    kind: str
    key: str
    router: str
    begun_at: float
    ended_at: float
    result: Result
    value: bytes = b""
    token: int = 0
    seen_at: float = 0.0
    what: str = ""

    def __str__(self) -> str:
        took_ms = (self.ended_at - self.begun_at) * 1000
        told = " ".join(filter(None, (self.value[:40].decode("latin-1"), self.what)))
        return (
            f"{self.router} client {self.operation.client}: #{self.operation.number} {self.kind} "
            f"{self.key} -> {self.result.value} {told} ({took_ms:.3f} ms)"
        )


@dataclass(frozen=True, slots=True)
class Event:
    """A fault, or a line of the log of a router."""

    at: float
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


class History:
    """Calls in the order in which they ended, and events, by time since the loop began."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.events: list[Event] = []
        self._order: list[Call | Event] = []

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Call | Event]:
        return iter(self._order)

    def add_call(self, call: Call) -> None:
        self.calls.append(call)
        self._order.append(call)

    def add_event(self, at: float, where: str, text: str) -> None:
        event = Event(at, where, text)
        self.events.append(event)
        self._order.append(event)

    def lines(self) -> Iterator[str]:
        """The history as text. Two histories are the same if their lines are."""
        for entry in self._order:
            yield f"{entry.ended_at if isinstance(entry, Call) else entry.at:12.6f} {entry}"


def write_value(key: str, number: int, size: int = 0) -> bytes:
    """A value that names its key and its write, with a checksum, padded to `size` bytes."""
    text = f"{key}|{number}|".encode()
    padding = b"." * max(0, size - len(text) - 9)
    return text + padding + b"|%08x" % zlib.crc32(text + padding)


def first_count(key: str) -> int:
    """The number at which a counter begins."""
    return COUNTS_APART * int(key.rpartition("-")[2])


def read_value(value: bytes) -> tuple[str, int] | None:
    """The key and the write of a value; None if it is not whole."""
    body, _, checksum = value.rpartition(b"|")
    parts = body.split(b"|")
    if checksum != b"%08x" % zlib.crc32(body) or len(parts) != 3:
        return None
    return parts[0].decode("latin-1"), int(parts[1])
