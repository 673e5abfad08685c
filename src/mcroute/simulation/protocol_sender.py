"""Commands as lines of memcached's protocol to a proxy, several at a time on one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .answers import NOTHING, Answer, Answers, value_of
from .history import Operation, Result

__all__ = ("MisplacedReply", "ProtocolError", "ProtocolSender")

T = TypeVar("T")
Read = Callable[[asyncio.StreamReader], Awaitable[T]]

_STORED = {
    b"STORED": Result.OK,
    b"NOT_STORED": Result.DECLINED,
    b"EXISTS": Result.DECLINED,
    b"NOT_FOUND": Result.MISS,
}
_READ = {b"END": Result.MISS}
# The lines that a command may be answered with, besides numbers, values and errors.
_RESULTS: dict[str, dict[bytes, Result]] = {
    **dict.fromkeys(("set", "add", "replace", "cas"), _STORED),
    **dict.fromkeys(("get", "gets", "gat"), _READ),
    "delete": {b"DELETED": Result.OK, b"NOT_FOUND": Result.MISS},
    "touch": {b"TOUCHED": Result.OK, b"NOT_FOUND": Result.MISS},
    "incr": {b"NOT_FOUND": Result.MISS},
}
_ERRORS = b"SERVER_ERROR", b"CLIENT_ERROR", b"ERROR"
# After a command without a reply comes one with a reply of its own kind.
_BARRIER = b"version\r\n"


class ProtocolError(Exception):
    """The proxy closed the connection, or what it answered is no reply to the command."""


class ErrorReply(ProtocolError):
    """The proxy answered an error line."""


class MisplacedReply(ProtocolError):
    """The proxy's reply belongs to another command."""


class _Connection:
    """A connection with requests under way. `_last` is done when all replies before have been read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last.set_result(None)

    async def exchange(self, request: bytes, read: Read[T]) -> T:
        """Sends a request at once, and reads its reply in turn."""
        before, own = self._last, asyncio.get_running_loop().create_future()
        self._last = own
        self._writer.write(request)
        try:
            # Not cancelled with the one that waits.
            await asyncio.shield(before)
            reply = await read(self._reader)
        except ErrorReply:
            own.set_result(None)
            raise
        except BaseException:
            self.abort()
            own.set_exception(ProtocolError("the connection failed with the request before"))
            own.exception()  # nobody need be waiting
            raise
        own.set_result(None)
        return reply

    def abort(self) -> None:
        self._writer.transport.abort()


class ProtocolSender:
    """Commands to a proxy at an endpoint, on one connection that is made anew when it fails.

    A command fails after `timeout_s`, and with it the others under way.
    """

    def __init__(self, host: str, port: int, value_size: int, timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._value_size = value_size
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._connecting: asyncio.Lock = asyncio.Lock()

    async def send(self, kind: str, operation: Operation, token: int = 0) -> Answer:
        request = self._request(kind, operation, token)
        if operation.is_quiet:
            return await self._exchange(request + _BARRIER, _quiet)
        return await self._exchange(request, lambda reader: _answer(reader, kind, operation, token))

    async def get_many(self, operation: Operation) -> Answers:
        request = b"get %b\r\n" % " ".join(operation.keys).encode()
        return await self._exchange(request, lambda reader: _answers(reader, operation))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def _exchange(self, request: bytes, read: Read[T]) -> T:
        connection: _Connection | None = None

        async def exchange() -> T:
            nonlocal connection
            connection = await self._connected()
            return await connection.exchange(request, read)

        try:
            return await asyncio.wait_for(exchange(), self._timeout_s)
        except ErrorReply:
            raise
        except BaseException:
            # A late reply must not be taken for the next command's.
            if connection is not None:
                connection.abort()
            if connection is self._connection:
                self._connection = None
            raise

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None:
                self._connection = _Connection(*await asyncio.open_connection(self._host, self._port))
            return self._connection

    def _request(self, kind: str, operation: Operation, token: int) -> bytes:
        key, ttl_s = operation.key.encode(), operation.ttl_s
        quiet = b" noreply" if operation.is_quiet else b""
        if kind in ("get", "gets"):
            return b"%b %b\r\n" % (kind.encode(), key)
        if kind == "gat":
            return b"gat %d %b\r\n" % (ttl_s, key)
        if kind == "delete":
            return b"delete %b%b\r\n" % (key, quiet)
        if kind == "incr":
            return b"incr %b 1%b\r\n" % (key, quiet)
        if kind == "touch":
            return b"touch %b %d%b\r\n" % (key, ttl_s, quiet)
        value = value_of(operation, self._value_size)
        version = b" %d" % token if kind == "cas" else b""
        return b"%b %b 0 %d %d%b%b\r\n%b\r\n" % (
            kind.encode(), key, ttl_s, len(value), version, quiet, value,
        )  # fmt: skip


# ---- replies ----


async def _answer(reader: asyncio.StreamReader, kind: str, operation: Operation, token: int) -> Answer:
    line = await _line(reader)
    if line.startswith(b"VALUE ") and kind in ("get", "gets", "gat"):
        _, answer = await _value(reader, line, operation)
        if (end := await _line(reader)) != b"END":
            raise MisplacedReply(f"{_text(end)} follows the value")
        return answer
    if kind == "incr" and line.isdigit():
        return Result.OK, line, 0
    result = _RESULTS[kind].get(line)
    if result is None:
        raise MisplacedReply(f"{_text(line)} answers {kind}")
    return result, NOTHING, token


async def _answers(reader: asyncio.StreamReader, operation: Operation) -> Answers:
    answers: Answers = dict.fromkeys(operation.keys, (Result.MISS, NOTHING, 0))
    while (line := await _line(reader)) != b"END":
        key, answer = await _value(reader, line, operation)
        answers[key] = answer
    return answers


async def _quiet(reader: asyncio.StreamReader) -> Answer:
    """Of a command without a reply, which may or may not have been executed: that of the next command."""
    if not (line := await _line(reader)).startswith(b"VERSION "):
        raise MisplacedReply(f"{_text(line)} answers version")
    return Result.FAILED, NOTHING, 0


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\r\n"):
        raise ProtocolError("the proxy closed the connection")
    if line.startswith(_ERRORS):
        raise ErrorReply(_text(line))
    return line[:-2]


async def _value(reader: asyncio.StreamReader, line: bytes, operation: Operation) -> tuple[str, Answer]:
    if not line.startswith(b"VALUE "):
        raise MisplacedReply(f"{_text(line)} instead of a value")
    _, key, _, size, *token = line.split()
    if key.decode() not in operation.keys:
        raise MisplacedReply(f"the value is of the key {_text(key)}")
    value = (await reader.readexactly(int(size) + 2))[:-2]
    return key.decode(), (Result.OK, value, int(token[0]) if token else 0)


def _text(line: bytes) -> str:
    return line[:80].decode("latin-1").strip()
