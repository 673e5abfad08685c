"""Load that checks what it reads: writers that each own their keys, and know what these may hold."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from random import Random
from typing import Any, Protocol

from mcroute.asyncio import RequestFailed

from .clients import Client

__all__ = ("Caller", "Connect", "Connection", "Failed", "Ledger", "Load", "Tally", "connected", "spell")

KEYS_EACH = 20
# The shares of the kinds of requests; the rest are multigets.
DELETES, SETS, GETS = 0.2, 0.3, 0.3


class Failed(Exception):
    """A reply that is no answer, such as a SERVER_ERROR."""


class Caller(Protocol):
    """Sends requests to servers: a connection to a proxy, or a client in this process.

    Everything raises Failed or RequestFailed when the outcome is not known.
    """

    async def get(self, key: str, /) -> Any: ...

    async def get_many(self, keys: Iterable[str], /) -> Mapping[Any, Any]: ...

    async def set(self, key: str, value: bytes, /) -> object: ...

    async def delete(self, key: str, /) -> object: ...


# One caller for each writer, or one for all.
Connect = Callable[[], contextlib.AbstractAsyncContextManager[Caller]]


class Connection(Client):
    """Raises Failed if there is no answer."""

    async def get(self, key: str) -> bytes | None:
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        self.writer.write(f"get {' '.join(keys)}\r\n".encode())
        return await self.items()

    async def items(self) -> dict[str, bytes]:
        """The reply to a get."""
        found = {}
        while (line := await self.reader.readuntil(b"\r\n")) != b"END\r\n":
            if not line.startswith(b"VALUE "):
                raise Failed(line)
            _, key, _, size = line.split()
            value = await self.reader.readexactly(int(size) + 2)
            found[key.decode()] = value[:-2]
        return found

    async def set(self, key: str, value: bytes) -> None:
        self.writer.write(b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value), value))
        await self.line(b"STORED\r\n")

    async def delete(self, key: str) -> None:
        self.writer.write(f"delete {key}\r\n".encode())
        await self.line(b"DELETED\r\n", b"NOT_FOUND\r\n")

    async def line(self, *good: bytes) -> None:
        """The reply to a write."""
        reply = await self.reader.readuntil(b"\r\n")
        if reply not in good:
            raise Failed(reply)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    client = Connection(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield client
    finally:
        await client.close()


def spell(key: str, sequence: int, size: int = 0) -> bytes:
    """A value that says what it is, all over, in `size` bytes or a few more."""
    head = f"{key}={sequence}={size}="
    return (head * (size // len(head) + 1)).encode()


class Tally:
    """The results that a load has seen."""

    def __init__(self) -> None:
        self.count = 0  # requests
        self.wrong: list[str] = []  # values that nobody has written to their key
        self.stale: list[str] = []  # values that their key no longer holds
        self.errors: list[Exception] = []
        self.misses = 0  # of keys that hold a value for certain
        self.slowest = 0.0

    @property
    def faults(self) -> list[str]:
        return self.wrong + self.stale


class Ledger:
    """The values that one writer's keys may hold: the last acknowledged and later unacknowledged ones."""

    def __init__(self, names: Iterable[str], tally: Tally) -> None:
        self.allowed: dict[str, set[int | None]] = {name: {None} for name in names}
        self.tally = tally
        self.sequence = 0

    def next(self, key: str) -> int:
        """The sequence of a value that is about to be written to the key."""
        self.sequence += 1
        return self.sequence

    def done(self, key: str, sequence: int | None) -> None:
        """None: the key was deleted."""
        self.allowed[key] = {sequence}

    def unclear(self, key: str, sequence: int | None) -> None:
        self.allowed[key].add(sequence)

    def possible(self, key: str) -> set[int | None]:
        """The values that a read which ends now may have seen."""
        return self.allowed[key]

    def check(self, key: str, found: bytes | None) -> None:
        possible = self.possible(key)
        if found is None:
            if None not in possible:
                self.missed(key)
            return
        owner, sequence, size, *_ = *found.split(b"=", 3), b"", b"", b""
        if (
            owner.decode() != key
            or not (sequence + size).isdigit()
            or found != spell(key, int(sequence), int(size))
        ):
            self.tally.wrong.append(f"{key}: {found[:80]!r}, {len(found)} bytes")
        elif int(sequence) not in possible:
            self.tally.stale.append(f"{key}: {found[:80]!r}, allowed {possible}")

    def missed(self, key: str) -> None:
        self.tally.misses += 1


class Writer:
    """Writes its own keys by one caller, and checks every read: a value names its key, and is not older than
    the last acknowledged one. A deleted key stays away."""

    def __init__(self, number: int, ledger: Ledger, caller: Caller) -> None:
        self.rng = Random(number)
        self.ledger = ledger
        self.caller = caller

    async def step(self) -> None:
        choice = self.rng.random()
        key = self.rng.choice(list(self.ledger.allowed))
        try:
            if choice < DELETES:
                await self.delete(key)
            elif choice < DELETES + SETS:
                await self.set(key)
            elif choice < DELETES + SETS + GETS:
                self.ledger.check(key, await self.caller.get(key))
            else:
                await self.get_many(list(self.ledger.allowed))
        except (Failed, RequestFailed) as error:
            self.ledger.tally.errors.append(error)

    async def delete(self, key: str) -> None:
        await self._write(key, None, self.caller.delete(key))

    async def set(self, key: str, size: int = 0) -> None:
        sequence = self.ledger.next(key)
        await self._write(key, sequence, self.caller.set(key, spell(key, sequence, size)))

    async def _write(self, key: str, sequence: int | None, doing: Any) -> None:
        try:
            await doing
        except (Failed, RequestFailed):
            self.ledger.unclear(key, sequence)
            raise
        self.ledger.done(key, sequence)

    async def get_many(self, keys: list[str]) -> None:
        found = await self.caller.get_many(keys)
        for key in keys:
            self.ledger.check(key, found.get(key))


class Load(Tally):
    """Writers at work, as many as wanted, until the end of `running`."""

    def __init__(self, connect: Connect) -> None:
        super().__init__()
        self.connect = connect
        self._stop = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self, writers: int = 8) -> AsyncIterator[Load]:
        tasks = [asyncio.create_task(self._work(i)) for i in range(writers)]
        try:
            yield self
        finally:
            self._stop.set()
            await asyncio.gather(*tasks)

    async def rounds(self, count: int) -> None:
        """Returns after so many more requests."""
        until = self.count + count
        while self.count < until:
            await asyncio.sleep(0.005)

    async def _work(self, number: int) -> None:
        ledger = Ledger((f"c{number}-{i}" for i in range(KEYS_EACH)), self)
        async with self.connect() as caller:
            writer = Writer(number, ledger, caller)
            while not self._stop.is_set():
                started = asyncio.get_running_loop().time()
                await writer.step()
                self.slowest = max(self.slowest, asyncio.get_running_loop().time() - started)
                self.count += 1
                await asyncio.sleep(0.001)
