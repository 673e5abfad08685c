"""An engine that is connected: its driver, its supervision and a link to each server, on one loop."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable
from random import Random

from .._engine.engine import Engine
from ..policy import Plan, Server, SupervisorSettings
from .asyncio_driver import Driver, Result
from .asyncio_link import Link
from .asyncio_supervision import Supervision

__all__ = ("LoopEngine",)

_living: weakref.WeakSet[LoopEngine] = weakref.WeakSet()
# Never freed: their transports would then take their sockets out of the epoll set, which is the parent's too.
_inherited: list[LoopEngine] = []


class LoopEngine:
    """What the proxy and the client share; belongs to the running loop. `begin` connects, `close` ends.

    `rng` is where all of its chance comes from: the engine's seed, the jitter of retries. `on_results` is
    handed what became of submitted requests.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        settings: SupervisorSettings | None = None,
        rng: Random | None = None,
        on_results: Callable[[list[Result]], None] | None = None,
    ) -> None:
        self.plan = plan
        self.loop = asyncio.get_running_loop()
        self._rng = rng or Random()
        self.engine = Engine(plan, seed=self._rng.getrandbits(63))
        self.supervision = Supervision(plan, self.engine, self.loop, self._rng, settings)
        self.driver = Driver(self.engine, self.loop, self.supervision.look_for_trips, on_results)
        self.links: dict[int, Link] = {}  # by the server's id
        self.is_inherited = False  # made by the process that this one was forked from: of no use here
        self._tasks: dict[int, asyncio.Task[None]] = {}  # that keep the links connected
        _living.add(self)

    def begin(self) -> None:
        """Starts to connect to the servers. Requests are taken from now on, and wait for the connections."""
        timeouts = _connect_timeouts(self.plan)
        self.supervision.links = self.links
        for server in self.plan.servers:
            self._connect(self.plan.server_ids[server.name], server, timeouts[server.name])

    def _connect(self, number: int, server: Server, timeout_s: float) -> None:
        link = Link(self.driver, number, server, timeout_s, self.supervision, self._rng)
        self.links[number] = link
        self._tasks[number] = self.loop.create_task(link.run())

    async def tried(self) -> None:
        """Returns when the first attempt to connect is over for every server, whatever came of it."""
        for link in tuple(self.links.values()):
            await link.is_tried.wait()

    async def close(self) -> None:
        """Leaves the servers; what is in flight gets no reply any more."""
        self.supervision.close()
        for task in self._tasks.values():
            task.cancel()
        try:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        finally:
            # Also when the closing itself is cancelled.
            for link in self.links.values():
                link.abort()
            self.driver.close()
        # Transports report their end in the next turn of the loop.
        while any(link.is_connected for link in self.links.values()):
            await asyncio.sleep(0)

    def let_go(self) -> None:
        """For a child process after a fork: the connections are the parent's alone from now on."""
        self.is_inherited = True
        for link in self.links.values():
            link.let_go()


def _connect_timeouts(plan: Plan) -> dict[str, float]:
    """By server name; a server of several pools gets the least patience of theirs."""
    timeouts: dict[str, float] = {}
    for pool in plan.pools:
        for server in pool.servers:
            known = timeouts.get(server.name, pool.connect_timeout_s)
            timeouts[server.name] = min(known, pool.connect_timeout_s)
    return timeouts


def _let_go_of_inherited() -> None:
    for routing in list(_living):
        routing.let_go()
        _living.discard(routing)
        _inherited.append(routing)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_let_go_of_inherited)
