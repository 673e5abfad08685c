"""A service on the native loop: its threads need no interpreter; an asyncio loop supervises them."""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Sequence
from random import Random

from .._loop.threads import LoopThread
from ..drivers.asyncio.environment import Environment
from ..drivers.native.driver import NativeDriver
from ..drivers.native.engine import NativeEngine
from ..policy import Limits, Plan, SupervisorSettings, Upkeep
from ..runtime.routing import FirstUse, Routing
from .descriptors import Descriptors
from .listening import listening_path, listening_sockets
from .service import Service
from .state_file import StateFile

__all__ = ("NativeService", "default_threads")

THREADS_MAX = 4


def default_threads() -> int:
    """One per core that this process may use, at most four."""
    return min(THREADS_MAX, len(os.sched_getaffinity(0)))


class NativeService(Service):
    """Serves clients by a plan. `start` begins, `close` ends; also an asynchronous context manager.

    `threads` threads serve the clients; the running loop only supervises. `rng` is the only source of
    randomness: seeds of the engines, jitter of retries. `state` is the state file, shared with the previous
    and the next process; servers that it does not list are flushed before use if `first_use` is "flush".
    `descriptors` bounds the clients. `upkeep` has the times of questions to servers and of reloads.
    `environment` is for tests.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        threads: int | None = None,
        settings: SupervisorSettings | None = None,
        limits: Limits | None = None,
        rng: Random | None = None,
        state: StateFile | None = None,
        first_use: FirstUse = "trust",
        descriptors: Descriptors | None = None,
        upkeep: Upkeep | None = None,
        environment: Environment | None = None,
    ) -> None:
        rng = rng or Random()
        memory = state.memory if state else None
        self.driver: NativeDriver = NativeDriver(plan, threads or default_threads(), rng, memory, environment)
        self.engine: NativeEngine = self.driver.engine
        routing = Routing(
            plan,
            self.driver,
            settings=settings,
            limits=limits,
            rng=rng,
            state=state,
            first_use=first_use,
            upkeep=upkeep,
        )
        super().__init__(routing, self.driver, _NativeFront(self.driver.threads, self.engine), descriptors)


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
