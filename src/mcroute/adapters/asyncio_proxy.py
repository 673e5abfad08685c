"""The proxy on asyncio: a listener, its sessions, and one engine for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from random import Random
from typing import TYPE_CHECKING

from ..policy import Plan, SupervisorSettings
from .asyncio_carrier import asyncio_routing
from .asyncio_session import Session
from .asyncio_stats import stats_reply
from .listening import BACKLOG, listening_path
from .metrics import Observation
from .observer import Observer, serve_metrics

if TYPE_CHECKING:
    from .prometheus import MetricsServer

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
        self.metrics_port = 0
        self._routing, self._driver = asyncio_routing(plan, settings=settings, rng=rng, on_stats=self._stats)
        self.engine = self._driver.engine
        self.supervision = self._routing.supervision
        self._loop = self._routing.loop
        self._listener: asyncio.Server | None = None
        self._observer = Observer(self._loop, self.supervision.supervisor, self.engine.snapshot)
        self._metrics: MetricsServer | None = None
        self._path = ""
        self._began_at = self._loop.time()

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        path: str = "",
        metrics: tuple[str, int] | None = None,
    ) -> None:
        """Connects to the servers, then listens; a server that cannot be reached does not keep it from that.

        Port 0 takes a free one; `port` then holds which. With `path` it listens on a unix socket there
        instead. `metrics` is a host and a port for Prometheus, as `metrics_port` holds: whoever can connect
        there can read them. Raises OSError if it cannot listen, ConfigError if it is to serve metrics without
        prometheus-client.
        """
        self._routing.begin()
        try:
            await self._routing.tried()
            if metrics is not None:
                self._metrics = serve_metrics(self._observer, *metrics)
                self.metrics_port = self._metrics.port
            if path:
                await self._listen_on_path(path)
            else:
                self._listener = await self._loop.create_server(self._accept, host, port, backlog=BACKLOG)
                self.port = self._listener.sockets[0].getsockname()[1]
        except BaseException:
            await self.close(0)
            raise
        self._observer.is_serving = True

    async def _listen_on_path(self, path: str) -> None:
        listener = listening_path(path)
        self._listener = await self._loop.create_unix_server(self._accept, sock=listener, backlog=BACKLOG)
        self._path = path

    async def reload(self, plan: Plan, *, settings: SupervisorSettings | None = None) -> None:
        """Goes on with another plan, and these settings if given; no client is dropped.

        Requests that come once this has returned are routed by it; those in flight end as they began.
        """
        await self._routing.install(plan, settings)
        self.plan = plan
        self._observer.reloaded()

    def reload_failed(self) -> None:
        """Another plan was wanted and cannot be had: counted, for whoever watches."""
        self._observer.failed_reloads += 1

    def observe(self) -> Observation:
        """Counters, latencies and states at this moment; from any thread, see `Observer.observe`."""
        return self._observer.observe()

    async def close(self, limit_s: float = 5.0) -> None:
        """Takes no more requests, answers those that have come for at most `limit_s` seconds, then closes."""
        self._observer.is_serving = False
        if self._listener is not None:
            self._listener.close()
        if self._path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._path = ""
        for session in self._sessions():
            session.end()
        until = self._loop.time() + limit_s
        while self._sessions() and self._loop.time() < until:
            await asyncio.sleep(0.01)
        for session in self._sessions():
            session.abort()
        while self._sessions():
            # Transports report their end in the next turn of the loop.
            await asyncio.sleep(0)
        if self._metrics is not None:
            # In a thread: a scrape that is under way waits for this loop.
            await asyncio.to_thread(self._metrics.close)
            self._metrics = None
        await self._routing.close()
        if self._listener is not None:
            await self._listener.wait_closed()

    def _accept(self) -> Session:
        return Session(self._driver)

    def _stats(self, line: bytes) -> bytes:
        about = {"uptime": int(self._loop.time() - self._began_at)}
        return stats_reply(line, self._routing, about, self._observer)

    def _sessions(self) -> list[Session]:
        return [c for c in self._driver.connections.values() if isinstance(c, Session)]

    async def __aenter__(self) -> Proxy:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
