"""The proxy on asyncio: a listener, its sessions, one engine, and a link to each server."""

from __future__ import annotations

import asyncio
from random import Random

from .._engine.engine import Engine
from ..policy import Plan, SupervisorSettings
from .asyncio_driver import Driver
from .asyncio_link import Link
from .asyncio_session import Session
from .asyncio_supervision import Supervision

__all__ = ("Proxy",)


class Proxy:
    """Serves clients by a plan, on the running loop. `start` begins, `close` ends; also a context manager.

    `rng` is where all of its chance comes from: the engine's seed, the jitter of retries.
    """

    def __init__(
        self, plan: Plan, *, settings: SupervisorSettings | None = None, rng: Random | None = None
    ) -> None:
        self.plan = plan
        self.port = 0
        self._loop = asyncio.get_running_loop()
        self._rng = rng or Random()
        self.engine = Engine(plan, seed=self._rng.getrandbits(63))
        self.supervision = Supervision(plan, self.engine, self._loop, self._rng, settings)
        self._driver = Driver(self.engine, self._loop, self.supervision.look_for_trips)
        self._links: list[Link] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._listener: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Connects to the servers, then listens; a server that cannot be reached does not keep it from that.

        Port 0 takes a free one; `port` then holds which. Raises OSError if it cannot listen.
        """
        timeouts = _connect_timeouts(self.plan)
        for number, server in enumerate(self.plan.servers):
            timeout_s = timeouts[server.name]
            self._links.append(Link(self._driver, number, server, timeout_s, self.supervision, self._rng))
        self.supervision.links = self._links
        self._tasks = [self._loop.create_task(link.run()) for link in self._links]
        try:
            for link in self._links:
                await link.is_tried.wait()
            self._listener = await self._loop.create_server(lambda: Session(self._driver), host, port)
        except BaseException:
            await self.close(0)
            raise
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self, limit_s: float = 5.0) -> None:
        """Takes no more requests, answers those that have come for at most `limit_s` seconds, then closes."""
        if self._listener is not None:
            self._listener.close()
        for session in self._sessions():
            session.end()
        until = self._loop.time() + limit_s
        while self._sessions() and self._loop.time() < until:
            await asyncio.sleep(0.01)
        for session in self._sessions():
            session.abort()
        self.supervision.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links:
            link.abort()
        # Transports report their end in the next turn of the loop.
        while self._sessions() or any(link.is_connected for link in self._links):
            await asyncio.sleep(0)
        self._driver.close()
        if self._listener is not None:
            await self._listener.wait_closed()

    def _sessions(self) -> list[Session]:
        return [c for c in self._driver.connections.values() if isinstance(c, Session)]

    async def __aenter__(self) -> Proxy:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def _connect_timeouts(plan: Plan) -> dict[str, float]:
    """By server name; a server of several pools gets the least patience of theirs."""
    timeouts: dict[str, float] = {}
    for pool in plan.pools:
        for server in pool.servers:
            known = timeouts.get(server.name, pool.connect_timeout_s)
            timeouts[server.name] = min(known, pool.connect_timeout_s)
    return timeouts
