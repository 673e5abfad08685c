"""Servers in memory, and connections on which bytes travel for a random time; what happened, in order."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random
from typing import Any

from mcroute.policy.places import Endpoint
from mcroute.testing.memcached import Memcached
from mcroute.testing.store import Store

from .virtual_clock import VirtualClock


class Clocks:
    """The virtual clock as a memcached reads it."""

    def __init__(self, clock: VirtualClock) -> None:
        self.monotonic = self.unix = clock.now


class Connection:
    """Between us and a server. Bytes arrive in order, each piece after a random delay."""

    def __init__(self, network: Network, server: MemoryServer, end: tuple[str, int]) -> None:
        self.end = end  # ours
        self._network = network
        self._conversation = server.memcached.accept(end)
        self._server = server
        self._arrival = 0.0
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.on_lost: Callable[[], None] = lambda: None

    def _later(self, callback: Callable[..., None], *args: Any) -> None:
        self._arrival = max(self._arrival, self._network.clock.now() + self._network.delay_s())
        self._network.clock.call_at(self._arrival, callback, *args)

    def send(self, data: bytes) -> None:
        self._later(self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        if self in self._server.connections:
            self._later(self._answer, self._conversation.receive(data))

    def _answer(self, data: bytes) -> None:
        if self in self._server.connections:
            self.on_data(data)

    def close(self) -> None:
        """At once, at both ends."""
        self._server.connections.discard(self)
        self._conversation.close()

    def lose(self) -> None:
        """As the network does, or a server that ends."""
        self.close()
        self.on_lost()


class MemoryServer:
    """A memcached of the network; `kill` ends it, and `restart` begins another process without its items."""

    def __init__(self, network: Network, pid: int) -> None:
        self._network = network
        self.connections: set[Connection] = set()
        self.restart(pid)

    def restart(self, pid: int) -> None:
        self.is_up = True
        self.memcached = Memcached(Clocks(self._network.clock), pid=pid)

    @property
    def store(self) -> Store:
        return self.memcached.store

    def come_back(self) -> None:
        """Ends what `kill` began as if the network had failed: the process still has its items."""
        self.is_up = True

    def kill(self) -> None:
        self.is_up = False
        for connection in sorted(self.connections, key=lambda connection: connection.end):
            connection.lose()


class Network:
    """Servers by host, and what happened, in order."""

    def __init__(self, clock: VirtualClock, rng: Random) -> None:
        self.clock = clock
        self.servers: dict[str, MemoryServer] = {}
        self.history: list[tuple[float, str]] = []
        self._rng = rng
        self._ports = 5000

    def delay_s(self) -> float:
        return self._rng.uniform(0.0001, 0.002)

    def note(self, text: str) -> None:
        self.history.append((self.clock.now(), text))

    async def connect(self, address: Endpoint) -> Connection:
        await self.clock.sleep(self.delay_s())
        there = self.servers[address[0]]
        if not there.is_up:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        self._ports += 1
        connection = Connection(self, there, ("10.9.9.9", self._ports))
        there.connections.add(connection)
        return connection
