"""A network with one machine, for tests of its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

from mcroute.drivers.asyncio.control import AsyncioControl
from mcroute.drivers.asyncio.link import LinkConnection
from mcroute.policy import Server, ServerStats
from mcroute.runtime.standins import StandIns
from mcroute.simulation.layouts import REPLY_TIMEOUT_S
from mcroute.simulation.loop import SimulationLoop
from mcroute.simulation.machines import Machine
from mcroute.simulation.network import Network
from mcroute.simulation.transports import SimulatedTransport

T = TypeVar("T")


class Peer:
    """The far end of a connection: keeps what arrives, and its end."""

    def __init__(self) -> None:
        self.data = b""
        self.pieces: list[bytes] = []
        self.end: int | None = None

    def receive(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(data)

    def ended(self, error: int) -> None:
        self.end = error


class Line(asyncio.Protocol):
    """The near end: keeps what arrives, and the exception of its end."""

    def __init__(self) -> None:
        self.data = b""
        self.transport: Any = None
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


def on_a_machine(main: Callable[[SimulationLoop, Network], Coroutine[Any, Any, T]], seed: int = 1) -> T:
    """Runs `main` on a machine of a new network. Raises what it raises."""
    network = Network(Random(seed))
    loop = SimulationLoop.of(network)
    machine = Machine("tester", "10.9.0.1")

    async def top() -> T:
        return await loop.on(machine, main(loop, network))

    result = loop.run(top())
    assert not loop.failures
    return result


# ---- bugs on purpose ----


async def look_instead(self: AsyncioControl, server: Server, *args: object, **options: object) -> ServerStats:
    """For `AsyncioControl.flush`: nothing is flushed."""
    return await self.look(server)


async def take_only(
    self: AsyncioControl,
    server: Server,
    take: Callable[[], Sequence[bytes]],
    allows: Callable[[ServerStats], bool],
) -> None:
    """For `AsyncioControl.delete`: keys count as deleted, and are not."""
    if allows(await self.look(server)):
        while take():
            """Taken."""


async def settle_only(self: StandIns, number: int) -> None:
    """For `StandIns._delete`: keys that a stand-in took count as deleted there, and are not."""
    taken = self._taken(number)
    while taken.take(1000):
        """Taken."""
    taken.settle()


def trust_late_replies(receive: Callable[[SimulatedTransport, bytes], None]) -> Any:
    """For `SimulatedTransport.receive`: after a timeout, a reply that comes late is the next request's.

    The engine drops the reply of a request that has timed out. Here it gets another one to drop first.
    """

    def receive_late(self: SimulatedTransport, data: bytes) -> None:
        link = self.get_protocol()
        if isinstance(link, LinkConnection):
            engine, number, now = link._engine, link._number, self._loop.time()
            if engine.is_ready(number) and now - engine.silent_since(number) > REPLY_TIMEOUT_S:
                data = b"CLIENT_ERROR late\r\n" + data
        receive(self, data)

    return receive_late
