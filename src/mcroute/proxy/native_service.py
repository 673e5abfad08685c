"""A service on the native loop: its threads need no interpreter; an asyncio loop supervises them."""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Sequence
from random import Random
from typing import Any

from .._loop.threads import LoopThread
from ..drivers.asyncio.environment import Environment
from ..drivers.native.driver import NativeDriver
from ..drivers.native.engine import NativeEngine
from ..policy import Plan
from .listening import listening_path, listening_sockets
from .service import Front, Service

__all__ = ("NativeService", "default_threads")

THREADS_MAX = 4


def default_threads() -> int:
    """One per core that this process may use, at most four."""
    return min(THREADS_MAX, len(os.sched_getaffinity(0)))


class NativeService(Service):
    """A `Service`, with its options. `threads` threads serve clients; the running loop only supervises."""

    driver: NativeDriver
    engine: NativeEngine

    def __init__(self, plan: Plan, *, threads: int | None = None, **options: Any) -> None:
        self._threads = threads or default_threads()
        super().__init__(plan, **options)

    def _driven(
        self, plan: Plan, rng: Random, memory: memoryview | None, environment: Environment | None
    ) -> tuple[NativeDriver, Front]:
        self.driver = NativeDriver(plan, self._threads, rng, memory, environment)
        self.engine = self.driver.engine
        return self.driver, _NativeFront(self.driver.threads, self.engine)


class _NativeFront:
    """A `Front` of several threads. The system divides clients among them, or the first thread does."""

    def __init__(self, threads: Sequence[LoopThread], engine: NativeEngine) -> None:
        self._threads = threads
        self.set_clients_max = engine.set_clients_max
        self.clients_held = engine.clients_held

    async def listen(self, host: str, port: int) -> int:
        sockets = listening_sockets(host, port, len(self._threads))
        port = sockets[0][0].getsockname()[1]
        if len(sockets) < len(self._threads):
            for listener in sockets[0]:
                self._divide(listener)
        else:
            for thread, own in zip(self._threads, sockets, strict=True):
                for listener in own:
                    thread.listen(listener.detach())
        return port

    async def listen_on_path(self, path: str) -> None:
        self._divide(listening_path(path))

    def _divide(self, listener: socket.socket) -> None:
        """The first thread accepts, and the threads get the clients in turn."""
        first, *others = self._threads
        first.listen(listener.detach(), array.array("i", [-1, *(thread.accepted_in() for thread in others)]))

    def stop_listening(self) -> None:
        for thread in self._threads:
            thread.stop_listening()

    def sessions(self) -> int:
        return sum(thread.clients() for thread in self._threads)

    def end_sessions(self) -> None:
        for thread in self._threads:
            thread.end_sessions()

    def abort_sessions(self) -> None:
        for thread in self._threads:
            thread.abort_sessions()

    async def closed(self) -> None:
        """Nothing to wait for: `stop_listening` has closed everything."""

    def about(self) -> dict[str, object]:
        return {"threads": len(self._threads)}
