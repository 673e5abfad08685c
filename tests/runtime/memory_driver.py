"""A driver without sockets, threads and clocks: all that the runtime wants of one, over memory."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from mcroute._engine.engine import Engine
from mcroute.errors import RemoteProtocolError
from mcroute.policy import Outcome, Place, Plan, Server, ServerOptions, ServerStats, Upkeep
from mcroute.policy.places import Endpoint, spell_end, written
from mcroute.runtime.dumps import DumpRefused
from mcroute.runtime.hosted_links import HostedLinks
from mcroute.runtime.interfaces import OtherProcess
from mcroute.runtime.link_events import report
from mcroute.runtime.link_runner import LinkRunner
from mcroute.runtime.link_values import LinkEvent, LinkStatus
from mcroute.runtime.waiting import ended

from .memory_network import Connection, Network
from .virtual_clock import VirtualFuture, VirtualTask, VirtualTimer


class MemoryDump:
    """A list of keys that has arrived as a whole."""

    def __init__(self, lines: list[bytes]) -> None:
        if lines[:1] and not lines[0].startswith((b"OK", b"END", b"EN", b"key=", b"mg ")):
            raise DumpRefused(lines[0].decode())
        self._lines = [line for line in lines if line.startswith((b"key=", b"mg "))]

    async def lines(self) -> list[bytes]:
        lines, self._lines = self._lines, []
        return lines

    def close(self) -> None:
        """Nothing is open."""


class MemoryControl:
    """A `Control`: each question is a connection of its own, with one command at a time."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._marks = 0

    async def _ask(self, server: Server, *commands: bytes) -> list[bytes]:
        """Their replies. Raises OSError."""
        connection = await self._network.connect(server.address)
        replies = []
        try:
            for command in commands:
                reply = self._network.clock.future()
                connection.on_data = reply.set_result
                connection.on_lost = partial(reply.set_result, b"")
                connection.send(command)
                replies.append(await reply)
                if not replies[-1]:
                    raise ConnectionResetError("closed by the server")
        finally:
            connection.close()
        return replies

    async def _stats(self, server: Server, *before: bytes) -> ServerStats:
        *_, reply = await self._ask(server, *before, b"stats\r\n")
        return ServerStats.of(_rows(reply))

    async def probe(self, server: Server) -> ServerStats:
        return await self._stats(server)

    async def turns(self, server: Server, count: int) -> list[float]:
        times = []
        for _ in range(count):
            begun_at = self._network.clock.now()
            await self._ask(server, b"version\r\n")
            times.append(self._network.clock.now() - begun_at)
        return times

    async def stats(self, server: Server, arguments: bytes = b"") -> dict[bytes, bytes]:
        [reply] = await self._ask(server, b" ".join((b"stats", arguments)).rstrip() + b"\r\n")
        return _rows(reply)

    async def settings(self, server: Server) -> dict[bytes, bytes]:
        [reply] = await self._ask(server, b"stats settings\r\n")
        return _rows(reply)

    async def look(self, server: Server) -> ServerStats:
        return await self._stats(server)

    async def flush(
        self, server: Server, delay_s: int = 0, allows: Callable[[ServerStats], bool] = lambda stats: True
    ) -> ServerStats:
        if not allows(await self._stats(server)):
            raise OtherProcess("it is another memcached than before")
        return await self._stats(server, b"flush_all %d\r\n" % delay_s)

    async def delete(
        self,
        server: Server,
        take: Callable[[], Sequence[bytes]],
        allows: Callable[[ServerStats], bool],
    ) -> None:
        if not allows(await self._stats(server)):
            raise OtherProcess("it is another memcached than before")
        while requests := take():
            for request, reply in zip(requests, await self._ask(server, *requests), strict=True):
                if reply not in (b"DELETED\r\n", b"NOT_FOUND\r\n"):
                    raise RemoteProtocolError(f"{reply!r} to {request!r}")

    async def dump(self, server: Server, name: bytes) -> MemoryDump:
        [reply] = await self._ask(server, b"lru_crawler %b\r\n" % name)
        return MemoryDump(reply.splitlines())

    async def is_one_store(self, server: Server, other: Server) -> bool:
        # A new mark each time: one of an earlier comparison would be found as well.
        self._marks += 1
        await self._ask(server, b"set mark%d 0 10 1\r\nx\r\n" % self._marks)
        [reply] = await self._ask(other, b"get mark%d\r\n" % self._marks)
        return reply != b"END\r\n"

    async def listed_connections(self, server: Server) -> set[str]:
        await self._ask(server, b"stats\r\n")
        return {spell_end(*connection.end) for connection in self._network.servers[server.host].connections}

    async def unix_connections(self, server: Server) -> tuple[str, int]:
        raise RemoteProtocolError("no unix sockets here")


def _rows(reply: bytes) -> dict[bytes, bytes]:
    rows = (line.split(b" ", 2) for line in reply.split(b"\r\n") if line.startswith(b"STAT "))
    return {name: value for _, name, value in rows}


class MemoryLinks:
    """A `LinkHost`: the links of one engine, connected over the network as their state machine orders."""

    def __init__(self, driver: MemoryDriver, seed: int) -> None:
        self._driver = driver
        self._runner = LinkRunner(driver.engine, seed)
        self._addresses: dict[int, list[Endpoint] | None] = {}
        self._tasks: dict[tuple[int, int], VirtualTask] = {}  # attempts to connect
        self._keys: dict[int, tuple[int, int]] = {}  # server and index, by the link's number in the engine
        self.connections: dict[tuple[int, int], Connection] = {}

    def connect(
        self, server: int, options: ServerOptions, addresses: list[Endpoint] | None, upkeep: Upkeep
    ) -> None:
        are_new = addresses != self._addresses.get(server)
        self._addresses[server] = addresses
        known = -1 if addresses is None else len(addresses)
        self._runner.connect(server, options, upkeep.backoff, known, self._driver.clock.now(), are_new)
        self._keys |= {self._runner.number(server, index): (server, index) for index in range(options.links)}
        self._carry_out()

    def links(self, servers: list[int]) -> list[list[LinkStatus]]:
        return self._runner.links(servers)

    def abort_unsettled(self, server: int) -> None:
        self._do(self._runner.abort_unsettled, server)

    def abort_silent(self, server: int, since: float) -> None:
        self._do(self._runner.abort_silent, server, since)

    def disconnect(self, server: int) -> None:
        self._do(self._runner.disconnect, server)

    def retry_now(self, server: int) -> None:
        self._do(self._runner.retry_now, server)

    def check(self) -> None:
        self._do(self._runner.check)

    def next_wakeup(self) -> float:
        return self._runner.next_wakeup()

    def events(self) -> list[LinkEvent]:
        return self._runner.events(self._driver.clock.now())

    def _do(self, step: Callable[..., None], *args: Any) -> None:
        """One step of the state machine, and what it orders."""
        step(*args, self._driver.clock.now())
        self._carry_out()

    def _carry_out(self) -> None:
        for order in self._runner.take_orders():
            key = order.server, order.link
            if order.closes:
                self._close(key)
            if order.address >= 0 and (addresses := self._addresses[order.server]) is not None:
                self._tasks[key] = self._driver.clock.start(self._connect(key, addresses[order.address]))
        self._driver.schedule()

    def _close(self, key: tuple[int, int]) -> None:
        if (task := self._tasks.get(key)) is not None:
            task.cancel()
        if (connection := self.connections.pop(key, None)) is not None:
            connection.close()

    async def closed(self, server: int) -> None:
        await ended(self._driver.clock, [task for key, task in self._tasks.items() if key[0] == server])

    async def _connect(self, key: tuple[int, int], address: Endpoint) -> None:
        try:
            connection = await self._driver.network.connect(address)
        except OSError as error:
            self._do(self._runner.not_made, *key, error.errno or errno.ECONNREFUSED)
            return
        connection.on_data, connection.on_lost = partial(self._received, key), partial(self._ended, key)
        self.connections[key] = connection
        host, port = connection.end
        self._do(self._runner.made, *key, host, port)

    def _received(self, key: tuple[int, int], data: bytes) -> None:
        self._driver.engine.receive(self._runner.number(*key), data, self._driver.clock.now())
        self._do(self._runner.received, *key)

    def _ended(self, key: tuple[int, int]) -> None:
        del self.connections[key]
        self._do(self._runner.ended, *key, 0)

    def flush(self, number: int) -> None:
        connection = self.connections.get(self._keys[number])
        if connection is None:
            return
        if data := self._driver.engine.take_output(number):
            connection.send(data)
        if self._driver.engine.must_close(number):
            connection.lose()


class Addresses:
    """A `Resolver` of servers whose addresses are on the network."""

    async def resolve(self, server: Server) -> list[Endpoint]:
        return [server.address]

    async def locate(self, plan: Plan) -> dict[str, list[Endpoint]]:
        return {server.name: [server.address] for server in plan.servers}

    def place_of(self, server: Server, addresses: Sequence[Endpoint] = ()) -> Place:
        return written(server)

    def failure(self, host: str) -> OSError | None:
        return None


class MemoryDriver(HostedLinks):
    """A `Driver` of one engine. `ask` sends a request of this process itself."""

    def __init__(self, plan: Plan, network: Network, rng: Random) -> None:
        self.network = network
        self.control = MemoryControl(network)
        self.engine = Engine(plan, seed=rng.getrandbits(63))
        self.links: MemoryLinks = MemoryLinks(self, rng.getrandbits(63))
        super().__init__([self.links], network.clock, Addresses())
        self._waiting: dict[int, VirtualFuture] = {}
        self._is_scheduled = self._is_closed = False
        self._alarms = 0
        self._timer: VirtualTimer | None = None

    async def ask(self, request: bytes) -> tuple[Outcome, Any]:
        number = self.engine.submit(request, self.clock.now())
        self._waiting[number] = self.clock.future()
        self.schedule()
        outcome, result = await self._waiting[number]
        self.network.note(f"{request!r}: {Outcome(outcome).name} {result!r}")
        return Outcome(outcome), result

    # ---- for links ----

    def retry_now(self, server: int) -> None:
        self.links.retry_now(server)

    async def closed(self, server: int) -> None:
        await self.links.closed(server)
        self.take_events()

    # ---- turns ----

    def begin(self) -> None:
        """It is under way."""

    def take_events(self) -> None:
        while events := self.links.events():
            for event in events:
                self._tell(event)

    def _tell(self, event: LinkEvent) -> None:
        # Unlike in a proxy, an exception ends the scenario.
        report(self._supervision, event, self._links, self._resolver.failure)

    def schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self.clock.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        if self._is_closed:
            return
        self.take_events()
        while numbers := self.engine.take_dirty():
            for number in numbers:
                self.links.flush(number)
        for number, outcome, result in self.engine.take_results():
            self._waiting.pop(number).set_result((outcome, result))
        if (alarms := self.engine.alarms()) > self._alarms:
            self._alarms = alarms
            self._supervision.look_for_trips()
            self.schedule()
        if self._timer is not None:
            self._timer.cancel()
        if (due := min(self.engine.next_wakeup(), self.links.next_wakeup())) < math.inf:
            self._timer = self.clock.call_at(due, self._check)

    def _check(self) -> None:
        self.engine.check(self.clock.now())
        self.links.check()

    def close(self) -> None:
        self._is_closed = True

    def at_fork(self, detach: Callable[[], None]) -> None:
        """Nothing here is open."""

    def detach(self) -> None:
        """Nothing here is open."""
