"""The proxy on the native loop: threads that serve without the interpreter, supervised by an asyncio loop."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
from random import Random
from typing import TYPE_CHECKING

from ..policy import Plan, SupervisorSettings
from .asyncio_stats import stats_reply
from .listening import listening_path, listening_sockets
from .metrics import Observation
from .native_carrier import NativeCarrier
from .observer import Observer, serve_metrics
from .routing import Routing

if TYPE_CHECKING:
    from .prometheus import MetricsServer

__all__ = ("Proxy", "default_threads")

THREADS_MAX = 4
LOOK_S = 0.01
# An older plan is looked at so often, until no request is on it any more.
FORGET_S = 0.1


def default_threads() -> int:
    """One for each core that this process may use, at most four."""
    return min(THREADS_MAX, len(os.sched_getaffinity(0)))


class Proxy:
    """Serves clients by a plan. `start` begins, `close` ends; also an asynchronous context manager.

    Clients are served by `threads` threads of their own, whatever the running loop does; that loop only
    supervises. `rng` is where all of its chance comes from: the engines' seeds, the jitter of retries.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        threads: int | None = None,
        settings: SupervisorSettings | None = None,
        rng: Random | None = None,
    ) -> None:
        rng = rng or Random()
        self.plan = plan
        self.port = 0
        self.metrics_port = 0
        self.carrier = NativeCarrier(plan, threads or default_threads(), rng, self._stats)
        self._routing = Routing(plan, self.carrier, settings=settings, rng=rng)
        self.engine = self.carrier.engine
        self.supervision = self._routing.supervision
        self._threads = self.carrier.threads
        self._loop = self._routing.loop
        self._observer = Observer(self._loop, self.supervision.supervisor, self.engine.snapshot)
        self._metrics: MetricsServer | None = None
        self._began_at = self._loop.time()
        self._path = ""
        self._forgetting: asyncio.TimerHandle | None = None

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
        try:
            await self.carrier.prepare(self.plan)
            self._routing.begin()
            self.carrier.begin()
            await self._routing.tried()
            # So that nobody is asked who is known to be away.
            self.carrier.hear()
            if metrics is not None:
                self._metrics = serve_metrics(self._observer, *metrics)
                self.metrics_port = self._metrics.port
            if path:
                self._listen_on_path(path)
            else:
                self._listen(host, port)
        except BaseException:
            await self.close(0)
            raise
        self._observer.is_serving = True

    def _listen(self, host: str, port: int) -> None:
        sockets = listening_sockets(host, port, len(self._threads))
        self.port = sockets[0][0].getsockname()[1]
        if len(sockets) < len(self._threads):
            for listener in sockets[0]:
                self._divide(listener.detach())
            return
        for thread, own in zip(self._threads, sockets, strict=True):
            for listener in own:
                thread.listen(listener.detach())

    def _listen_on_path(self, path: str) -> None:
        self._divide(listening_path(path).detach())
        self._path = path

    def _divide(self, fd: int) -> None:
        """The first thread accepts, and hands clients over to each in turn."""
        first, *others = self._threads
        first.listen(fd, array.array("i", [-1, *(thread.hand_in() for thread in others)]))

    async def reload(self, plan: Plan, *, settings: SupervisorSettings | None = None) -> None:
        """Goes on with another plan, and these settings if given; no client is dropped.

        Requests that come once this has returned are routed by it; those in flight end as they began.
        """
        await self._routing.install(plan, settings)
        self.plan = plan
        self._observer.reloaded()
        self._forget_plans()

    def _forget_plans(self) -> None:
        self._forgetting = None
        if self.engine.forget_plans():
            self._forgetting = self._loop.call_later(FORGET_S, self._forget_plans)

    def reload_failed(self) -> None:
        """Another plan was wanted and cannot be had: counted, for whoever watches."""
        self._observer.failed_reloads += 1

    def observe(self) -> Observation:
        """Counters, latencies and states at this moment; from any thread, see `Observer.observe`."""
        return self._observer.observe()

    async def close(self, limit_s: float = 5.0) -> None:
        """Takes no more requests, answers those that have come for at most `limit_s` seconds, then closes."""
        self._observer.is_serving = False
        if self._forgetting is not None:
            self._forgetting.cancel()
        for thread in self._threads:
            thread.stop_listening()
        if self._path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._path = ""
        for thread in self._threads:
            thread.end_sessions()
        until = self._loop.time() + limit_s
        while any(thread.clients() for thread in self._threads) and self._loop.time() < until:
            await asyncio.sleep(LOOK_S)
        for thread in self._threads:
            thread.abort_sessions()
        if self._metrics is not None:
            # In a thread: a scrape that is under way waits for this loop.
            await asyncio.to_thread(self._metrics.close)
            self._metrics = None
        await self._routing.close()

    def _stats(self, line: bytes) -> bytes:
        about = {"uptime": int(self._loop.time() - self._began_at), "threads": len(self._threads)}
        return stats_reply(line, self._routing, about, self._observer)

    async def __aenter__(self) -> Proxy:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
