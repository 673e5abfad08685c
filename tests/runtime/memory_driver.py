"""A driver without sockets, threads and clocks: all that the runtime wants of one, over memory."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from mcroute._engine.engine import Engine
from mcroute.errors import RemoteProtocolError
from mcroute.policy import Outcome, Place, Plan, Server, ServerStats
from mcroute.policy.places import Endpoint, written
from mcroute.runtime.handshakes import HANDSHAKE, why_failed, why_lost
from mcroute.runtime.interfaces import LinksReport, OtherProcess
from mcroute.runtime.supervised import Links
from mcroute.runtime.supervision import Supervision

from .memory_network import Connection, Network
from .virtual_clock import VirtualFuture, VirtualTask, VirtualTimer

RETRY_S = 0.05
RETRY_CAP_S = 2.0


class MemoryControl:
    """A `Control`: each question is a connection of its own, with one command at a time."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def _ask(self, server: Server, *commands: bytes) -> list[bytes]:
        """Their replies. Raises OSError."""
        connection = await self._network.connect(server)
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

    async def is_one_store(self, server: Server, other: Server) -> bool:
        await self._ask(server, b"set mark 0 0 1\r\nx\r\n")
        [reply] = await self._ask(other, b"get mark\r\n")
        return reply != b"END\r\n"

    async def listed_connections(self, server: Server) -> set[str]:
        await self._ask(server, b"stats\r\n")
        return {connection.address for connection in self._network.servers[server.host].connections}

    async def unix_connections(self, server: Server) -> tuple[str, int]:
        raise RemoteProtocolError("no unix sockets here")


def _rows(reply: bytes) -> dict[bytes, bytes]:
    rows = (line.split(b" ", 2) for line in reply.split(b"\r\n") if line.startswith(b"STAT "))
    return {name: value for _, name, value in rows}


class MemoryLink:
    """A link to a server, over all its connections."""

    def __init__(self, driver: MemoryDriver, links: MemoryLinks, index: int) -> None:
        self._driver = driver
        self._clock = driver.clock
        self._engine = driver.engine
        self._links = links
        self._index = index
        self._failures = 0
        self._timer: VirtualTimer | None = None
        self.connection: Connection | None = None
        self.is_ready = False  # the handshake is answered
        self.tried = driver.clock.future()
        self.number = self._engine.add_link(links.id, index)
        driver.links[self.number] = self
        self._begin()

    def _begin(self) -> None:
        self._timer = None
        self._engine.open_link(self._links.id, self._index, HANDSHAKE)
        self.task = self._clock.start(self._connect())

    async def _connect(self) -> None:
        connecting = self._driver.network.connect(self._links.server)
        try:
            self.connection = await self._clock.within(self._links.timeout_s, connecting)
        except OSError as error:
            self._lost(error.errno or errno.ETIMEDOUT)
            return
        self.connection.on_data, self.connection.on_lost = self._received, self._lost
        self._engine.link_connected(self.number)
        self.flush()

    def _received(self, data: bytes) -> None:
        self._engine.receive(self.number, data, self._clock.now())
        self._driver.schedule()

    def flush(self) -> None:
        if self.connection is None:
            return
        if not self.is_ready and self._engine.is_ready(self.number):
            self.is_ready, self._failures = True, 0
            self._end_try()
            self._driver.supervision.connected(self._links.id)
        if data := self._engine.take_output(self.number):
            self.connection.send(data)
        if self._engine.must_close(self.number):
            self.connection.lose()

    def _lost(self, error: int = 0) -> None:
        supervision, server, now = self._driver.supervision, self._links.id, self._clock.now()
        was_ready, self.is_ready, connection, self.connection = self.is_ready, False, self.connection, None
        if was_ready and connection is not None:
            supervision.losing(server, why_lost(error))
            writes = self._engine.unanswered_writes(self.number)
            self._engine.close(self.number, now)
            missed = self._engine.missed_writes(server)
            if supervision.link_lost(server, connection.address, writes, missed, why_lost(error)):
                self._engine.open_link(server, self._index, HANDSHAKE)
        else:
            self._failures += 1
            self._engine.close(self.number, now)
            supervision.connect_failed(server, why_failed(error, False, b""))
            self._end_try()
        delay_s = min(RETRY_CAP_S, RETRY_S * 2**self._failures) if self._failures else 0
        self._timer = self._clock.call_later(delay_s, self._begin)
        self._driver.schedule()

    def _end_try(self) -> None:
        if not self.tried.done():
            self.tried.set_result(None)

    def hurry(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._begin()

    def leave(self) -> None:
        """Ends it, and the attempt to connect that is under way."""
        if self._timer is not None:
            self._timer.cancel()
        self.task.cancel()
        if self.connection is not None:
            self.connection.close()
        self.connection, self.is_ready = None, False
        self._engine.close(self.number, self._clock.now())

    def abort(self) -> None:
        if self.connection is not None:
            self.connection.lose()


class MemoryLinks:
    """The links of one server: what the runtime sees of them."""

    def __init__(
        self, driver: MemoryDriver, number: int, server: Server, timeout_s: float, count: int
    ) -> None:
        self.id = number
        self.server = server
        self.timeout_s = timeout_s
        self._driver = driver
        self._links = [MemoryLink(driver, self, index) for index in range(count)]

    def __len__(self) -> int:
        return len(self._links)

    def look(self) -> LinksReport:
        return LinksReport(self.connected, self.unanswered, self.version)

    @property
    def connected(self) -> int:
        return sum(link.is_ready for link in self._links)

    @property
    def are_connected(self) -> bool:
        return self.connected == len(self)

    @property
    def unanswered(self) -> int:
        return sum(self._driver.engine.unanswered(link.number) for link in self._links)

    @property
    def version(self) -> str:
        return "in memory" if self.connected else ""

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset(
            link.connection.address for link in self._links if link.is_ready and link.connection is not None
        )

    def set_timeout(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s

    def set_server(self, server: Server, addresses: Sequence[Endpoint]) -> None:
        self.server = server

    async def tried(self) -> None:
        for link in self._links:
            await link.tried

    def hurry(self) -> None:
        for link in self._links:
            link.hurry()

    async def settled(self) -> None:
        self.hurry()
        while not self.are_connected or self.unanswered:
            await self._driver.clock.sleep(0.01)

    def abort_silent(self, since: float) -> None:
        for link in self._links:
            if link.is_ready and self._driver.engine.silent_since(link.number) < since:
                link.abort()

    def abort_unsettled(self) -> None:
        for link in self._links:
            if self._driver.engine.unanswered(link.number):
                link.abort()

    def cancel(self) -> Sequence[VirtualTask]:
        for link in self._links:
            link.leave()
        return [link.task for link in self._links]

    def abort(self) -> None:
        for link in self._links:
            link.abort()

    async def gone(self) -> None:
        """They are when `cancel` returns."""


class MemoryDriver:
    """A `Driver` of one engine. `ask` sends a request of this process itself."""

    def __init__(self, plan: Plan, network: Network, rng: Random) -> None:
        self.network = network
        self.clock = network.clock
        self.control = MemoryControl(network)
        self.engine = Engine(plan, seed=rng.getrandbits(63))
        self.links: dict[int, MemoryLink] = {}
        self.supervision: Supervision
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

    def supervise(self, supervision: Supervision) -> None:
        self.supervision = supervision

    async def prepare(self, plan: Plan) -> Mapping[str, list[Endpoint]]:
        return {server.name: [server.address] for server in plan.servers}

    def place_of(self, server: Server, addresses: Sequence[Endpoint] = ()) -> Place:
        return written(server)

    def connect(
        self, number: int, server: Server, timeout_s: float, count: int, addresses: Sequence[Endpoint]
    ) -> MemoryLinks:
        return MemoryLinks(self, number, server, timeout_s, count)

    def look(self, links: Mapping[int, Links]) -> Mapping[int, LinksReport]:
        return {number: each.look() for number, each in links.items()}

    def addresses(self, links: Mapping[int, Links]) -> Mapping[int, frozenset[str]]:
        return {number: each.addresses for number, each in links.items()}

    def begin(self) -> None:
        """It is under way."""

    def hear(self) -> None:
        """Nothing: what happens is told as it happens."""

    def schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self.clock.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        if self._is_closed:
            return
        while numbers := self.engine.take_dirty():
            for number in numbers:
                self.links[number].flush()
        for number, outcome, result in self.engine.take_results():
            self._waiting.pop(number).set_result((outcome, result))
        if (alarms := self.engine.alarms()) > self._alarms:
            self._alarms = alarms
            self.supervision.look_for_trips()
            self.schedule()
        if self._timer is not None:
            self._timer.cancel()
        if (due := self.engine.next_wakeup()) < math.inf:
            self._timer = self.clock.call_at(due, self._check)

    def _check(self) -> None:
        self.engine.check(self.clock.now())
        self.schedule()

    def close(self) -> None:
        self._is_closed = True

    def at_fork(self, let_go: Callable[[], None]) -> None:
        """Nothing here is open."""

    def let_go(self) -> None:
        """Nothing here is open."""
