"""An engine on an asyncio loop: its clients' turns, and the links of its servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from random import Random

from ..._engine.engine import Engine
from ...policy import Backoff, Limits, Place, Plan, Server, ServerOptions, SupervisorSettings
from ...runtime.interfaces import Clock, Links, LinksReport, LinksWatcher
from ...runtime.link_events import tell
from ...runtime.link_values import LinkEvent
from ...runtime.routing import Routing
from ...runtime.server_links import LinkLooks, ServerLinks, addresses_of, report_on
from ..forks import at_fork
from .addresses import LoopAddress, Resolver, place_of
from .control import AsyncioControl
from .engine_loop import EngineLoop, OnStats, Result
from .environment import Environment
from .links import AsyncioLinks

__all__ = ("AsyncioDriver", "asyncio_routing")

log: logging.Logger = logging.getLogger("mcroute")


class AsyncioDriver:
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
        self.clock: Clock = environment.clock(self.engine_loop.loop)
        self._resolver = Resolver(environment.lookups())
        self.control: AsyncioControl = AsyncioControl(self._resolver, rng)
        self._host = AsyncioLinks(self.engine_loop, rng.getrandbits(63))
        self._host.on_event = self._tell
        self._looks = LinkLooks([self._host], self.clock)
        self._links: dict[int, ServerLinks] = {}

    def supervise(self, supervision: LinksWatcher) -> None:
        self._supervision = supervision
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

    def _tell(self, event: LinkEvent) -> None:
        try:
            tell(self._supervision, event, self._links, self._resolver.failure)
        except Exception:
            # The other events are not reported again, and the turn goes on.
            log.exception("an event of a link is lost: %r", event)

    async def prepare(self, plan: Plan) -> Mapping[str, list[LoopAddress]]:
        return await self._resolver.locate(plan)

    def place_of(self, server: Server, addresses: Sequence[LoopAddress] = ()) -> Place:
        return place_of(server, addresses)

    def connect(
        self,
        number: int,
        server: Server,
        options: ServerOptions,
        addresses: Sequence[LoopAddress] | None,
        backoff: Backoff,
    ) -> ServerLinks:
        links = ServerLinks(self, [self._host], self._looks, number, server, options, addresses, backoff)
        self._links[number] = links
        return links

    def look(self, links: Mapping[int, Links]) -> Mapping[int, LinksReport]:
        return dict(zip(links, map(report_on, self._looks.now(list(links))), strict=True))

    def addresses(self, links: Mapping[int, Links]) -> Mapping[int, frozenset[str]]:
        return dict(zip(links, map(addresses_of, self._looks.now(list(links))), strict=True))

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

    def located(self, server: int, place: Place) -> None:
        self._supervision.located(server, place)

    async def resolve(self, server: Server) -> list[LoopAddress]:
        return await self._resolver.resolve(server)

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
