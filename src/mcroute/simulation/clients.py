"""Clients of a simulation: each sends its operations in order through its router, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from pymemcache.exceptions import MemcacheError

from ..client.on_asyncio import Client
from ..errors import McrouteError
from .answers import NOTHING, Answer, Answers, value_of
from .history import Call, Operation, Result
from .protocol_sender import ProtocolError

__all__ = ("EmbeddedSender", "Sender", "SimulatedClient")


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
        value = value_of(operation, self._value_size)
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
            is_deleted = await client.delete(key, noreply=operation.is_quiet)
            return _seen(operation, Result.OK if is_deleted else Result.MISS)
        if kind == "touch":
            is_there = await client.touch(key, operation.ttl_s, noreply=False)
            return Result.OK if is_there else Result.MISS, NOTHING, 0
        store = {"set": client.set, "add": client.add, "replace": client.replace}[kind]
        is_stored = await store(key, value, operation.ttl_s, noreply=operation.is_quiet)
        return _seen(operation, _done(is_stored))

    async def get_many(self, operation: Operation) -> Answers:
        found = await self._client().get_many(operation.keys)
        return {key: _found(found.get(key), 0) for key in operation.keys}

    def close(self) -> None:
        """The connections are the process's."""


def _found(value: bytes | None, token: int) -> Answer:
    return (Result.MISS, NOTHING, 0) if value is None else (Result.OK, value, token)


def _seen(operation: Operation, result: Result) -> Answer:
    """A command without a reply may or may not have been executed."""
    return Result.FAILED if operation.is_quiet else result, NOTHING, 0


def _done(is_stored: bool) -> Result:
    return Result.OK if is_stored else Result.DECLINED


# ---- operations ----


class SimulatedClient:
    """Runs operations in order, each at its time; `on_call` gets each call. At most `depth` are under way."""

    def __init__(
        self,
        router: str,
        sender: Sender,
        time: Callable[[], float],
        on_call: Callable[[Call], None],
        depth: int = 1,
    ) -> None:
        self.router = router
        self._sender = sender
        self._time = time
        self._on_call = on_call
        self._depth = depth

    async def run(self, operations: list[Operation], begun_at: float) -> None:
        """`begun_at` is the time of the loop to which the operations' times are added."""
        places, under_way = asyncio.Semaphore(self._depth), set[asyncio.Future[None]]()
        for operation in operations:
            wait_s = begun_at + operation.at_s - self._time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if self._depth == 1:
                await self._run(operation)
                continue
            await places.acquire()
            task = asyncio.ensure_future(self._run(operation))
            task.add_done_callback(lambda task: places.release())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
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
            answering = self._answers(kind, operation, token)
            if operation.limit_s:
                answering = asyncio.wait_for(answering, operation.limit_s)
            answers |= await answering
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
