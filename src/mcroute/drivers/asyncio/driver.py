"""An engine carried by asyncio: one driver, and links that are protocols of its loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random

from ..._engine.engine import Engine
from ...policy import Limits, Place, Plan, Server, SupervisorSettings
from ...runtime.interfaces import Clock, Control, LinksReport
from ...runtime.routing import Routing
from ...runtime.supervised import Links
from ...runtime.supervision import Supervision
from ..forks import at_fork
from . import control
from .addresses import LoopAddress, locate, place_of
from .clock import AsyncioClock
from .engine_loop import EngineLoop, OnStats, Result
from .links import ServerLinks

__all__ = ("AsyncioDriver", "asyncio_routing")


class AsyncioDriver:
    """A `Driver` on the running loop. `on_results` and `on_stats`, which may be set, are the driver's."""

    def __init__(
        self,
        plan: Plan,
        rng: Random,
        on_results: Callable[[list[Result]], None] | None = None,
        memory: memoryview | None = None,
    ) -> None:
        self.engine: Engine = Engine(plan, seed=rng.getrandbits(63), memory=memory)
        self.engine_loop: EngineLoop = EngineLoop(self.engine, asyncio.get_running_loop(), on_results)
        self.clock: Clock = AsyncioClock(self.engine_loop.loop)
        self.control: Control = control
        self._rng = rng
        self._links: list[ServerLinks] = []

    def supervise(self, supervision: Supervision) -> None:
        self._supervision = supervision
        self.engine_loop.on_alarm = supervision.look_for_trips

    @property
    def on_stats(self) -> OnStats:
        return self.engine_loop.on_stats

    @on_stats.setter
    def on_stats(self, on_stats: OnStats) -> None:
        self.engine_loop.on_stats = on_stats

    def begin(self) -> None:
        """It is under way."""

    def hear(self) -> None:
        """Nothing: what happens is told as it happens."""

    async def prepare(self, plan: Plan) -> Mapping[str, list[LoopAddress]]:
        return await locate(plan)

    def place_of(self, server: Server, addresses: Sequence[LoopAddress] = ()) -> Place:
        return place_of(server, addresses)

    def connect(
        self, number: int, server: Server, timeout_s: float, count: int, addresses: Sequence[LoopAddress]
    ) -> ServerLinks:
        # Each link looks up the name of its host when it connects.
        links = ServerLinks(self.engine_loop, number, server, timeout_s, count, self._supervision, self._rng)
        self._links = [*(known for known in self._links if known.is_kept), links]
        return links

    def look(self, links: Mapping[int, Links]) -> Mapping[int, LinksReport]:
        return {number: each.look() for number, each in links.items()}

    def addresses(self, links: Mapping[int, Links]) -> Mapping[int, frozenset[str]]:
        return {number: each.addresses for number, each in links.items()}

    def schedule(self) -> None:
        self.engine_loop.schedule()

    def close(self) -> None:
        self.engine_loop.close()

    def at_fork(self, let_go: Callable[[], None]) -> None:
        at_fork(let_go)

    def let_go(self) -> None:
        for links in self._links:
            links.let_go()


def asyncio_routing(
    plan: Plan,
    *,
    settings: SupervisorSettings | None = None,
    limits: Limits | None = None,
    rng: Random | None = None,
    on_results: Callable[[list[Result]], None] | None = None,
) -> tuple[Routing, EngineLoop]:
    """The plan at work on the running loop, and what moves its bytes.

    `rng` is where all chance comes from: the engine's seed, the jitter of retries.
    """
    rng = rng or Random()
    driver = AsyncioDriver(plan, rng, on_results)
    return Routing(plan, driver, settings=settings, limits=limits, rng=rng), driver.engine_loop
