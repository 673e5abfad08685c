"""An engine on an asyncio loop: its clients' turns, and the links of its servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from ..._engine.engine import Engine
from ...policy import Limits, Plan, SupervisorSettings
from ...runtime.hosted_links import HostedLinks
from ...runtime.interfaces import LinksWatcher
from ...runtime.routing import Routing
from ..forks import at_fork
from .addresses import Resolver
from .control import AsyncioControl
from .engine_loop import EngineLoop, OnStats, Result
from .environment import Environment
from .links import AsyncioLinks

__all__ = ("AsyncioDriver", "asyncio_routing")


class AsyncioDriver(HostedLinks):
    """A `Driver` on the running loop. `on_results` and `on_stats`, both optional, are the engine loop's."""

    def __init__(
        self,
        plan: Plan,
        rng: Random,
        on_results: Callable[[list[Result]], None] | None = None,
        memory: memoryview | None = None,
        environment: Environment | None = None,
    ) -> None:
        environment = environment or Environment()
        self.engine: Engine = Engine(plan, seed=rng.getrandbits(63), memory=memory)
        self.engine_loop: EngineLoop = EngineLoop(self.engine, asyncio.get_running_loop(), on_results)
        self._host = AsyncioLinks(self.engine_loop, rng.getrandbits(63))
        self._host.on_event = self._tell
        resolver = Resolver(environment.lookups())
        self.control: AsyncioControl = AsyncioControl(resolver, rng)
        super().__init__([self._host], environment.clock(self.engine_loop.loop), resolver)

    def supervise(self, supervision: LinksWatcher) -> None:
        super().supervise(supervision)
        self.engine_loop.on_alarm = supervision.look_for_trips

    @property
    def on_stats(self) -> OnStats:
        return self.engine_loop.on_stats

    @on_stats.setter
    def on_stats(self, on_stats: OnStats) -> None:
        self.engine_loop.on_stats = on_stats

    def begin(self) -> None:
        """Nothing to do: the loop is running."""

    def take_events(self) -> None:
        self._host.tell()

    def schedule(self) -> None:
        self.engine_loop.schedule()

    def close(self) -> None:
        self.engine_loop.close()

    def at_fork(self, detach: Callable[[], None]) -> None:
        at_fork(detach)

    def detach(self) -> None:
        self._host.detach()

    # ---- for links ----

    def retry_now(self, server: int) -> None:
        self._host.retry_now(server)

    async def closed(self, server: int) -> None:
        await self._host.closed(server)


def asyncio_routing(
    plan: Plan,
    *,
    settings: SupervisorSettings | None = None,
    limits: Limits | None = None,
    rng: Random | None = None,
    on_results: Callable[[list[Result]], None] | None = None,
    environment: Environment | None = None,
) -> tuple[Routing, AsyncioDriver]:
    """A routing on the running loop, and its driver.

    `rng` is the only source of randomness: the seed of the engine, jitter of retries.
    """
    rng = rng or Random()
    driver = AsyncioDriver(plan, rng, on_results, environment=environment)
    return Routing(plan, driver, settings=settings, limits=limits, rng=rng), driver
