"""Listening protocols of machines: proxies'. Both ends of their connections are transports."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from .machines import Machine
from .network import Network, refused
from .paths import Path, Receiver, Wire
from .transports import End, SimulatedSocket, SimulatedTransport

__all__ = ("SimulatedListener",)

PORT_MIN = 20000


class SimulatedListener(asyncio.AbstractServer):
    """An `Acceptor` that makes a protocol for each client. Port 0 chooses a free port of the network."""

    def __init__(self, network: Network, machine: Machine, make: Callable[[], Any], port: int) -> None:
        self.inbound: Path = network.path()
        self.outbound: Path = network.path()
        self._network = network
        self._machine = machine
        self._make = make
        self._context = copy_context()
        self._is_closed = False
        ports = (port,) if port else itertools.count(PORT_MIN)
        for each in ports:
            self.end: End = (machine.host, each)
            try:
                network.listen(self.end, self)
            except OSError:
                if port:
                    raise
            else:
                break
        self.sockets: tuple[SimulatedSocket, ...] = (SimulatedSocket(self.end, ("", 0)),)

    def accept(self, client: SimulatedTransport, remote: End) -> Receiver | None:
        if self._is_closed or self._machine.is_dead:
            raise refused()
        return self._context.run(self._accept, client, remote)

    def _accept(self, client: SimulatedTransport, remote: End) -> Receiver:
        transport = SimulatedTransport(self._network.loop, self._machine, self._make(), self.end, remote)
        transport.begin(Wire(self.outbound, client), (self.inbound, self.outbound))
        return transport

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._network.leave(self.end)

    def crash(self) -> None:
        self.close()

    def is_serving(self) -> bool:
        return not self._is_closed

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._network.loop

    async def start_serving(self) -> None:
        """It serves from the beginning."""

    async def serve_forever(self) -> None:
        await self._network.loop.create_future()

    async def wait_closed(self) -> None:
        """It is closed at once."""
