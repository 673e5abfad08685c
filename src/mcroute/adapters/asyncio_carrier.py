"""An engine carried by asyncio: one driver, and links that are protocols of its loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random

from .._engine.engine import Engine
from ..policy import Limits, Plan, Server, SupervisorSettings
from .addresses import LoopAddress, locate
from .asyncio_driver import Driver, OnStats, Result
from .asyncio_links import LinksReport, ServerLinks
from .routing import Routing
from .supervised import Links
from .supervision import Supervision

__all__ = ("AsyncioCarrier", "asyncio_routing")


class AsyncioCarrier:
    """A `Carrier` on the running loop. `on_results` and `on_stats`, which may be set, are the driver's."""

    def __init__(
        self,
        plan: Plan,
        rng: Random,
        on_results: Callable[[list[Result]], None] | None = None,
        memory: memoryview | None = None,
    ) -> None:
        self.engine: Engine = Engine(plan, seed=rng.getrandbits(63), memory=memory)
        self.driver: Driver = Driver(self.engine, asyncio.get_running_loop(), on_results)
        self._rng = rng
        self._links: list[ServerLinks] = []

    def supervise(self, supervision: Supervision) -> None:
        self._supervision = supervision
        self.driver.on_alarm = supervision.look_for_trips

    @property
    def on_stats(self) -> OnStats:
        return self.driver.on_stats

    @on_stats.setter
    def on_stats(self, on_stats: OnStats) -> None:
        self.driver.on_stats = on_stats

    def begin(self) -> None:
        """It is under way."""

    def hear(self) -> None:
        """Nothing: what happens is told as it happens."""

    async def prepare(self, plan: Plan) -> Mapping[str, list[LoopAddress]]:
        return await locate(plan)

    def connect(
        self, number: int, server: Server, timeout_s: float, count: int, addresses: Sequence[LoopAddress]
    ) -> ServerLinks:
        # Each link looks up the name of its host when it connects.
        links = ServerLinks(self.driver, number, server, timeout_s, count, self._supervision, self._rng)
        self._links = [*(known for known in self._links if known.is_kept), links]
        return links

    def look(self, links: Mapping[int, Links]) -> Mapping[int, LinksReport]:
        return {number: each.look() for number, each in links.items()}

    def addresses(self, links: Mapping[int, Links]) -> Mapping[int, frozenset[str]]:
        return {number: each.addresses for number, each in links.items()}

    def schedule(self) -> None:
        self.driver.schedule()

    def close(self) -> None:
        self.driver.close()

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
) -> tuple[Routing, Driver]:
    """The plan at work on the running loop, and what moves its bytes.

    `rng` is where all chance comes from: the engine's seed, the jitter of retries.
    """
    rng = rng or Random()
    carrier = AsyncioCarrier(plan, rng, on_results)
    return Routing(plan, carrier, settings=settings, limits=limits, rng=rng), carrier.driver
