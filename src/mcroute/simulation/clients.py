"""Clients of a simulation: each sends one operation after the other through its router."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from pymemcache.exceptions import MemcacheError

from ..client.on_asyncio import Client
from ..errors import McrouteError
from .history import Call, Operation, Result, write_value

__all__ = ("EmbeddedSender", "ProtocolSender", "Sender", "SimulatedClient")

T = TypeVar("T")

# Result, value, token.
Answer = tuple[Result, bytes, int]
# By key, for a command on several keys.
Answers = dict[str, Answer]

NOTHING = b""


class Sender(Protocol):
    """Sends one command and returns its answer; raises an exception if it failed."""

    async def send(self, kind: str, operation: Operation, token: int = 0) -> Answer: ...

    async def get_many(self, operation: Operation) -> Answers: ...

    def close(self) -> None:
        """Closes the client's own connection, if it has one."""


# ---- by the embedded client ----


class EmbeddedSender:
    """Commands as methods of a `Client` of this process. `client` returns the present one."""

    def __init__(self, client: Callable[[], Client], value_size: int) -> None:
        self._client = client
        self._value_size = value_size

    async def send(self, kind: str, operation: Operation, token: int = 0) -> Answer:
        client, key = self._client(), operation.key
        value = _value_of(operation, self._value_size)
        if kind == "get":
            return _found(await client.get(key), 0)
        if kind == "gets":
            found, cas = await client.gets(key)
            return _found(found, int(cas or 0))
        if kind == "gat":
            return _found(await client.gat(key, operation.ttl_s), 0)
        if kind == "cas":
            is_stored = await client.cas(key, value, b"%d" % token, operation.ttl_s, noreply=False)
            return Result.MISS if is_stored is None else _done(is_stored), NOTHING, token
        if kind == "incr":
            count = await client.incr(key, 1)
            return (Result.MISS, NOTHING, 0) if count is None else (Result.OK, b"%d" % count, 0)
        if kind == "delete":
            return Result.OK if await client.delete(key, noreply=False) else Result.MISS, NOTHING, 0
        if kind == "touch":
            is_there = await client.touch(key, operation.ttl_s, noreply=False)
            return Result.OK if is_there else Result.MISS, NOTHING, 0
        store = {"set": client.set, "add": client.add, "replace": client.replace}[kind]
        return _done(await store(key, value, operation.ttl_s, noreply=False)), NOTHING, 0

    async def get_many(self, operation: Operation) -> Answers:
        found = await self._client().get_many(operation.keys)
        return {key: _found(found.get(key), 0) for key in operation.keys}

    def close(self) -> None:
        """The connections are the process's."""


def _value_of(operation: Operation, size: int) -> bytes:
    return b"0" if operation.is_counter else write_value(operation.key, operation.number, size)


def _found(value: bytes | None, token: int) -> Answer:
    return (Result.MISS, NOTHING, 0) if value is None else (Result.OK, value, token)


def _done(is_stored: bool) -> Result:
    return Result.OK if is_stored else Result.DECLINED


# ---- by the protocol, through a proxy ----

_RESULTS = {
    b"STORED": Result.OK,
    b"DELETED": Result.OK,
    b"TOUCHED": Result.OK,
    b"NOT_STORED": Result.DECLINED,
    b"EXISTS": Result.DECLINED,
    b"NOT_FOUND": Result.MISS,
    b"END": Result.MISS,
}


class ProtocolError(Exception):
    """The proxy answered an error line, or none that belongs to the command."""


class ProtocolSender:
    """Commands as lines to a proxy at an endpoint, on one connection that is made anew when it fails.

    A command fails after `timeout_s`.
    """

    def __init__(self, host: str, port: int, value_size: int, timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._value_size = value_size
        self._timeout_s = timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, kind: str, operation: Operation, token: int = 0) -> Answer:
        return await self._limited(self._send(kind, operation, token))

    async def get_many(self, operation: Operation) -> Answers:
        return await self._limited(self._get_many(operation))

    async def _limited(self, sending: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(sending, self._timeout_s)
        except BaseException:
            # A late reply must not be taken for the next command's.
            self.close()
            raise

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _written(self, request: bytes) -> asyncio.StreamReader:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        return reader

    async def _get_many(self, operation: Operation) -> Answers:
        reader = await self._written(b"get %b\r\n" % " ".join(operation.keys).encode())
        answers: Answers = dict.fromkeys(operation.keys, (Result.MISS, NOTHING, 0))
        while (line := await reader.readline()) != b"END\r\n":
            key, answer = await self._value(reader, line, operation)
            answers[key] = answer
        return answers

    async def _send(self, kind: str, operation: Operation, token: int) -> Answer:
        reader = await self._written(self._request(kind, operation, token))
        line = (await reader.readline()).removesuffix(b"\r\n")
        if line.startswith(b"VALUE ") and kind in ("get", "gets", "gat"):
            _, answer = await self._value(reader, line, operation)
            end = await reader.readline()
            if end != b"END\r\n":
                raise ProtocolError(f"{end!r} follows the value")
            return answer
        if kind == "incr" and line.isdigit():
            return Result.OK, line, 0
        result = _RESULTS.get(line)
        if result is None:
            raise ProtocolError(line.decode("latin-1") or "the proxy closed the connection")
        return result, NOTHING, token

    async def _value(
        self, reader: asyncio.StreamReader, line: bytes, operation: Operation
    ) -> tuple[str, Answer]:
        if not line.startswith(b"VALUE "):
            raise ProtocolError(line.decode("latin-1").strip() or "the proxy closed the connection")
        _, key, _, size, *token = line.split()
        if key.decode() not in operation.keys:
            raise ProtocolError(f"the value is of the key {key.decode('latin-1')}")
        value = (await reader.readexactly(int(size) + 2))[:-2]
        return key.decode(), (Result.OK, value, int(token[0]) if token else 0)

    def _request(self, kind: str, operation: Operation, token: int) -> bytes:
        key, ttl_s = operation.key.encode(), operation.ttl_s
        if kind in ("get", "gets"):
            return b"%b %b\r\n" % (kind.encode(), key)
        if kind == "gat":
            return b"gat %d %b\r\n" % (ttl_s, key)
        if kind == "delete":
            return b"delete %b\r\n" % key
        if kind == "incr":
            return b"incr %b 1\r\n" % key
        if kind == "touch":
            return b"touch %b %d\r\n" % (key, ttl_s)
        value = _value_of(operation, self._value_size)
        version = b" %d" % token if kind == "cas" else b""
        return b"%b %b 0 %d %d%b\r\n%b\r\n" % (kind.encode(), key, ttl_s, len(value), version, value)


# ---- operations ----


class SimulatedClient:
    """Runs operations in order, each at its time or after the one before; `on_call` gets each call."""

    def __init__(
        self, router: str, sender: Sender, time: Callable[[], float], on_call: Callable[[Call], None]
    ) -> None:
        self.router = router
        self._sender = sender
        self._time = time
        self._on_call = on_call

    async def run(self, operations: list[Operation], begun_at: float) -> None:
        """`begun_at` is the time of the loop to which the operations' times are added."""
        for operation in operations:
            wait_s = begun_at + operation.at_s - self._time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await self._run(operation)
        self.close()

    def close(self) -> None:
        """Closes the client's own connection, if it has one."""
        self._sender.close()

    async def _run(self, operation: Operation) -> None:
        if operation.kind != "cas":
            await self.call(operation.kind, operation)
            return
        seen = await self.call("gets", operation)
        if seen.result is Result.OK:
            await self.call("cas", operation, seen.token, seen.begun_at)

    async def call(self, kind: str, operation: Operation, token: int = 0, seen_at: float = 0.0) -> Call:
        """Sends one command; a failure is a result. Returns its call; of several keys, the last one's."""
        begun_at = self._time()
        failed: Answer = Result.FAILED, NOTHING, token
        answers: Answers = dict.fromkeys(operation.keys, failed)
        what = ""
        try:
            answers |= await asyncio.wait_for(
                self._answers(kind, operation, token), operation.limit_s or None
            )
        except FAILURES as error:
            what = f"{type(error).__name__}: {error}"
        for key, (result, value, given) in answers.items():
            call = Call(
                operation,
                kind,
                key,
                self.router,
                begun_at,
                self._time(),
                result,
                value,
                given,
                seen_at,
                what,
            )
            self._on_call(call)
        return call

    async def _answers(self, kind: str, operation: Operation, token: int) -> Answers:
        if kind == "get_many":
            return await self._sender.get_many(operation)
        return {operation.key: await self._sender.send(kind, operation, token)}


# asyncio's TimeoutError is another class than the builtin one until Python 3.11.
FAILURES: tuple[type[Exception], ...] = (
    OSError,
    McrouteError,
    MemcacheError,
    ProtocolError,
    EOFError,
    asyncio.TimeoutError,
)
