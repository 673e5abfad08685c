"""Clients that know what may answer each of their requests. Values carry their key."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass, field

from choices import Broken, Choices, require

NUMBER = b"n0"
KEYS = [b"k%d" % i for i in range(6)] + [NUMBER, b"a:1", b"b:2", b"L" * 250]
SIZES = [0, 1, 30, 100, 2000, 9000, 70_000, 300_000]
ERROR = rb"(?:SERVER_ERROR|CLIENT_ERROR|ERROR)[^\r\n]*\r\n"
NEVER = re.compile(rb"(?!)")
VALUE = re.compile(rb"VALUE (\S+) \d+ (\d+)(?: \d+)?\r\n")


def is_own_value(key: bytes, value: bytes) -> bool:
    """Whether the value is one, or several appended to each other, that were written under this key."""
    pieces = rb"[\d ]+" if key == NUMBER else rb"(?:<%b:\d+:\.*>)*" % re.escape(key)
    return re.fullmatch(pieces, value) is not None


@dataclass(slots=True)
class Expected:
    """One request: what may answer it, and until when."""

    request: bytes
    pattern: re.Pattern[bytes]
    keys: tuple[bytes, ...] = ()
    deadline: float = math.inf
    is_get: bool = False
    is_optional: bool = False
    is_silent: bool = False


def leave_taking() -> Expected:
    return Expected(b"quit\r\n", NEVER, is_silent=True)


class Writer:
    """Writes well-formed requests of every kind."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._sequence = 0

    def value(self, key: bytes) -> bytes:
        if key == NUMBER:
            return b"%d" % self._sequence
        return b"<%b:%d:%b>" % (key, self._sequence, b"." * SIZES[self._choices.below(len(SIZES))])

    def requests(self) -> list[Expected]:
        """One request; a quiet one is followed by the mn that its reply, if any, comes before."""
        kind = self._choices.below(21)
        key = KEYS[self._choices.below(len(KEYS))]
        self._sequence += 1
        if kind < 4:
            return [self._get(kind, key)]
        if kind < 10:
            return [self._store(kind - 4, key)]
        if kind < 16:
            return [self._line(kind - 10, key)]
        return self._meta(kind - 16, key)

    def _get(self, kind: int, key: bytes) -> Expected:
        first = KEYS.index(key)
        keys = tuple(KEYS[(first + i) % len(KEYS)] for i in range(self._choices.below(7) + 1))
        name = (b"get", b"gets", b"gat 60", b"gats 60")[kind]
        return Expected(b"%b %b\r\n" % (name, b" ".join(keys)), re.compile(ERROR), keys, is_get=True)

    def _store(self, kind: int, key: bytes) -> Expected:
        name = (b"set", b"add", b"replace", b"append", b"prepend", b"cas")[kind]
        value = self.value(key)
        unique = b" 3" if name == b"cas" else b""
        silent = self._choices.below(4) == 3
        line = b"%b %b 5 0 %d%b%b\r\n" % (name, key, len(value), unique, b" noreply" * silent)
        pattern = _or_error(rb"STORED\r\n|NOT_STORED\r\n|EXISTS\r\n|NOT_FOUND\r\n")
        return Expected(line + value + b"\r\n", pattern, is_silent=silent)

    def _line(self, kind: int, key: bytes) -> Expected:
        line, pattern = (
            (b"delete %b\r\n" % key, rb"DELETED\r\n|NOT_FOUND\r\n"),
            (b"incr %b 1\r\n" % NUMBER, rb"\d+ *\r\n|NOT_FOUND\r\n"),
            (b"touch %b 60\r\n" % key, rb"TOUCHED\r\n|NOT_FOUND\r\n"),
            (b"flush_all\r\n", rb"OK\r\n"),
            (b"version\r\n", rb"VERSION [^\r\n]+\r\n"),
            (b"stats\r\n", rb"END\r\n"),
        )[kind]
        return Expected(line, _or_error(pattern))

    def _meta(self, kind: int, key: bytes) -> list[Expected]:
        noop = Expected(b"mn\r\n", re.compile(rb"MN\r\n"))
        if kind == 4:
            return [noop]
        opaque = b"O%d" % self._sequence
        quiet = self._choices.below(4) == 3
        flags = b"%b k%b" % (opaque, b" q" * quiet)
        value = self.value(key)
        # Derived from other choices, so that earlier inputs keep their meaning.
        touches = b" T60" * (self._sequence % 4 == 3)
        mode = (b"", b" ME", b" MA", b" MA N60", b" MR")[self._sequence % 5]
        creates = b" N60 J5" * (self._sequence % 3 == 2)
        line, keys = (
            (b"mg %b v%b %b\r\n" % (key, touches, flags), (key,)),
            (b"ms %b %d%b %b\r\n%b\r\n" % (key, len(value), mode, flags, value), (key,)),
            (b"md %b %b\r\n" % (key, flags), (key,)),
            (b"ma %b v%b %b\r\n" % (NUMBER, creates, flags), (NUMBER,)),
        )[kind]
        mine = rb" (?:[^\r\n]* )?%b(?: [^\r\n]*)?" % opaque
        # The engine's own answers, where no server was asked, carry no flags.
        pattern = rb"(?:HD|NF|NS|EX|EN)%b\r\n|VA (\d+)%b\r\n" % (mine, mine) + rb"|(?:EN|NF|NS)\r\n"
        asked = Expected(line, _or_error(pattern), keys, is_optional=quiet)
        return [asked, noop] if quiet else [asked]


def _or_error(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern + b"|" + ERROR)


@dataclass(slots=True)
class Client:
    """`is_honest`: what it has sent is known, and so is what it may get."""

    number: int
    is_honest: bool = True
    has_quit: bool = False  # in words, or
    has_ended: bool = False  # by ending its half of the connection
    unsent: bytearray = field(default_factory=bytearray)
    begun: deque[Expected] = field(default_factory=deque)  # not taken by the engine as a whole
    taken: int = 0  # bytes of `begun` that the engine has
    expected: deque[Expected] = field(default_factory=deque)
    received: bytearray = field(default_factory=bytearray)

    def write(self, requests: list[Expected]) -> None:
        for request in requests:
            self.unsent += request.request
            self.begun.append(request)

    def sent(self, size: int, deadline: float) -> None:
        del self.unsent[:size]
        self.taken += size
        while self.begun and self.taken >= len(self.begun[0].request):
            request = self.begun.popleft()
            self.taken -= len(request.request)
            request.deadline = deadline
            if not request.is_silent:
                self.expected.append(request)

    def owed(self) -> list[Expected]:
        return [request for request in self.expected if not request.is_optional]

    def read(self, values_are_ours: bool) -> None:
        """Matches what came with what was asked, in order. Raises Broken."""
        if not self.is_honest:
            self.received.clear()
            return
        while self.received:
            require(bool(self.expected), "nothing is said that was not asked", bytes(self.received[:80]))
            request = self.expected[0]
            size = _reply_size(request, bytes(self.received), values_are_ours)
            if size == 0:
                return
            if size is None and not request.is_optional:
                came = bytes(self.received[:80])
                raise Broken(f"replies come in order and in form: {request.request[:80]!r} got {came!r}")
            del self.received[: size or 0]
            self.expected.popleft()


def _reply_size(request: Expected, data: bytes, values_are_ours: bool) -> int | None:
    """The size of the reply at the front; 0 if it is not whole, None if it is none to this request."""
    if request.is_get:
        return _items_size(request, data, values_are_ours)
    if b"\r\n" not in data:
        return 0
    found = request.pattern.match(data)
    if found is None:
        return None
    if found.lastindex is None:
        return found.end()
    end = found.end() + int(found[1])
    if end + 2 > len(data):
        return 0
    _require_own(request.keys[0], data[found.end() : end], values_are_ours)
    return end + 2


def _items_size(request: Expected, data: bytes, values_are_ours: bool) -> int | None:
    at = 0
    keys = list(request.keys)
    while b"\r\n" in data[at:]:
        if data.startswith(b"END\r\n", at):
            return at + 5
        if at == 0 and (error := request.pattern.match(data)):
            return error.end()
        found = VALUE.match(data, at)
        if found is None:
            return None
        key, end = found[1], found.end() + int(found[2])
        require(key in keys, "a value answers a key that was asked, in its place", key)
        del keys[: keys.index(key) + 1]
        if end + 2 > len(data):
            return 0
        _require_own(key, data[found.end() : end], values_are_ours)
        at = end + 2
    return 0


def _require_own(key: bytes, value: bytes, values_are_ours: bool) -> None:
    require(not values_are_ours or is_own_value(key, value), "no alien values", (key, value[:80]))
