"""The proxy on asyncio: a listener, its sessions, and one engine for all of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from random import Random

from .._engine.engine import Engine
from ..drivers.asyncio.driver import AsyncioDriver
from ..drivers.asyncio.engine_loop import EngineLoop
from ..drivers.asyncio.environment import Environment
from ..policy import Plan
from .asyncio_listening import Acceptor
from .asyncio_session import Session
from .listening import BACKLOG, listening_path, listening_sockets
from .service import Front, Service

__all__ = ("Proxy",)


class Proxy(Service):
    """Serves clients by a plan, in tasks of the running loop. Its methods and options are `Service`'s."""

    engine: Engine

    def _driven(
        self, plan: Plan, rng: Random, memory: memoryview | None, environment: Environment | None
    ) -> tuple[AsyncioDriver, Front]:
        driver = AsyncioDriver(plan, rng, memory=memory, environment=environment)
        self.engine = driver.engine
        return driver, _AsyncioFront(driver.engine_loop)


class _AsyncioFront:
    """A `Front` whose sessions are protocols on the running loop."""

    def __init__(self, engine_loop: EngineLoop) -> None:
        self._engine_loop = engine_loop
        self._listener: asyncio.Server | None = None
        self._clients_max: int | None = None
        self._acceptor: Acceptor | None = None  # with a bound on clients

    def set_clients_max(self, clients_max: int) -> None:
        self._clients_max = clients_max
        if self._acceptor is not None:
            self._acceptor.set_clients_max(clients_max)

    def clients_held(self) -> int:
        return self._acceptor.held if self._acceptor is not None else 0

    async def listen(self, host: str, port: int) -> int:
        if self._clients_max is not None:
            [sockets] = listening_sockets(host, port, 1)
            self._begin(sockets, self._clients_max)
            return int(sockets[0].getsockname()[1])
        self._listener = await self._engine_loop.loop.create_server(self._accept, host, port, backlog=BACKLOG)
        return int(self._listener.sockets[0].getsockname()[1])

    async def listen_on_path(self, path: str) -> None:
        listener = listening_path(path)
        if self._clients_max is not None:
            self._begin([listener], self._clients_max)
            return
        self._listener = await self._engine_loop.loop.create_unix_server(
            self._accept, sock=listener, backlog=BACKLOG
        )

    def _begin(self, sockets: Sequence[socket.socket], clients_max: int) -> None:
        acceptor = self._acceptor = Acceptor(self._engine_loop.loop, sockets, clients_max)
        acceptor.begin(lambda: Session(self._engine_loop, acceptor.left))

    def _accept(self) -> Session:
        return Session(self._engine_loop)

    def stop_listening(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
        if self._listener is not None:
            self._listener.close()

    def _sessions(self) -> list[Session]:
        return [c for c in self._engine_loop.connections.values() if isinstance(c, Session)]

    def sessions(self) -> int:
        opening = self._acceptor.opening if self._acceptor is not None else 0
        return opening + len(self._sessions())

    def end_sessions(self) -> None:
        for session in self._sessions():
            session.end()

    def abort_sessions(self) -> None:
        for session in self._sessions():
            session.abort()

    async def closed(self) -> None:
        if self._acceptor is not None:
            await self._acceptor.closed()
        if self._listener is not None:
            await self._listener.wait_closed()

    def about(self) -> dict[str, object]:
        return {}
