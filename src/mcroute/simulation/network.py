"""The network: who listens where, how connections are made, and what names mean."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from .machines import Machine
from .paths import Latency, Path, Receiver, Wire
from .transports import End, SimulatedTransport

__all__ = ("Acceptor", "Network", "refused")

# Between machines of one network, in seconds.
LATENCY = Latency(0.00005, 0.0004)
# The time of a name server's answer, in seconds.
LOOKUP = Latency(0.0002, 0.002)
# The system's resolver asks twice, and waits five seconds each time.
LOOKUP_TIMEOUT_S = 10.0


class Acceptor(Protocol):
    """A process that listens at an endpoint, with the paths to it and from it."""

    inbound: Path
    outbound: Path

    def accept(self, client: SimulatedTransport, remote: End) -> Receiver | None:
        """Returns the server's end of a new connection; None if the connection will never be made.

        Raises OSError if it is refused.
        """


class Network:
    """Endpoints with their acceptors, and names with their addresses. `rng` draws every delay.

    `names` has the numeric hosts of each name, empty for an unknown name; for a name in `silent_names`
    no name server answers.
    """

    def __init__(self, rng: Random, latency: Latency = LATENCY) -> None:
        self.rng = rng
        self.latency = latency
        self.names: dict[str, tuple[str, ...]] = {}
        self.silent_names: set[str] = set()
        self._acceptors: dict[End, Acceptor] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the network belongs to no loop yet")
        return self._loop

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gives the network its time. Called by the loop."""
        self._loop = loop

    def path(self) -> Path:
        """A new path with the network's latency."""
        return Path(self.loop, self.rng, self.latency)

    def listen(self, end: End, acceptor: Acceptor) -> None:
        """Raises OSError if the endpoint is taken."""
        if end in self._acceptors:
            raise OSError(errno.EADDRINUSE, f"{end[0]}:{end[1]} is taken")
        self._acceptors[end] = acceptor

    def leave(self, end: End) -> None:
        """Nobody listens there any more. Harmless if nobody does."""
        self._acceptors.pop(end, None)

    async def connect(
        self, machine: Machine, make: Callable[[], Any], host: str, port: int
    ) -> tuple[SimulatedTransport, Any]:
        """Connects the machine by a protocol that `make` returns. Raises OSError if it is refused."""
        acceptor = self._acceptors.get((host, port))
        if acceptor is None:
            await asyncio.sleep(self.latency.draw(self.rng))
            raise refused()
        await self._crosses(acceptor.inbound)
        protocol = make()
        local = (machine.host, machine.next_port())
        transport = SimulatedTransport(self.loop, machine, protocol, local, (host, port))
        try:
            receiver = acceptor.accept(transport, local)
            if receiver is None:
                await self.loop.create_future()
            assert receiver is not None
            await self._crosses(acceptor.outbound)
        except BaseException:
            transport.crash()
            raise
        transport.begin(Wire(acceptor.inbound, receiver), (acceptor.inbound, acceptor.outbound))
        return transport, protocol

    async def _crosses(self, path: Path) -> None:
        """One segment of a handshake. On a path that is cut it gets lost, also after the heal."""
        if path.is_cut:
            await self.loop.create_future()
        await asyncio.sleep(path.delay_s())

    async def resolve(self, name: str) -> tuple[str, ...]:
        """The numeric hosts of a name. Raises OSError for an unknown name."""
        await asyncio.sleep(LOOKUP.draw(self.rng))
        if name in self.silent_names:
            await asyncio.sleep(LOOKUP_TIMEOUT_S)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        addresses = self.names.get(name, ())
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return addresses


def refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
