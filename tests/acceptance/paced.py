"""Requests at a fixed rate, whatever the replies: each on an idle connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

from .clients import Client

__all__ = ("PacedLoad", "fill")


async def fill(client: Client, keys: int) -> None:
    for i in range(keys):
        assert await client.ask(f"set k{i} 0 0 1\r\nx\r\n".encode()) == b"STORED\r\n"


@dataclass
class PacedLoad:
    """Gets of known keys, and a share of sets. Requests count that begin between `begin` and `end`."""

    port: int
    rate: float  # requests a second
    writes: float
    keys: int
    rng: Random
    times: list[float] = field(default_factory=list)  # seconds, of requests that succeeded
    failed: int = 0
    _is_on: bool = False
    _all: list[Client] = field(default_factory=list)
    _idle: list[Client] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(self) -> None:
        """Forgets earlier requests."""
        self._is_on = True
        self.times.clear()
        self.failed = 0

    def end(self) -> None:
        self._is_on = False

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            due += 1 / self.rate
            await asyncio.sleep(max(0.0, due - clock()))
            task = asyncio.create_task(self._request(self._is_on))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _request(self, counts: bool) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        client = self._idle.pop() if self._idle else await self._connect()
        is_good = await self._ask(client)
        self._idle.append(client)
        if counts and is_good:
            self.times.append(clock() - began)
        elif counts:
            self.failed += 1

    async def _connect(self) -> Client:
        client = await Client.to(self)
        self._all.append(client)
        return client

    async def _ask(self, client: Client) -> bool:
        key = f"k{self.rng.randrange(self.keys)}"
        if self.rng.random() < self.writes:
            return await client.ask(f"set {key} 0 0 1\r\nx\r\n".encode()) == b"STORED\r\n"
        line = await client.ask(f"get {key}\r\n".encode())
        if not line.startswith(b"VALUE "):
            return False
        await client.reader.readuntil(b"END\r\n")
        return True

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in self._all:
            await client.close()
