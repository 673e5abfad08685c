"""The links of one engine: asyncio runs the orders of their state machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ...policy import KeepAlive, ServerOptions, Upkeep
from ...runtime.link_runner import LinkOrder, LinkRunner
from ...runtime.link_values import EVENTS_MAX, LinkEvent, LinkStatus
from .addresses import LoopAddress
from .engine_loop import EngineLoop
from .link import Link

__all__ = ("AsyncioLinks",)

log: logging.Logger = logging.getLogger("mcroute")


def _unheard(event: LinkEvent) -> None:
    pass


class AsyncioLinks:
    """A `LinkHost` on the engine's loop. Set `on_event`: it gets the events of links."""

    def __init__(self, engine_loop: EngineLoop, seed: int) -> None:
        self.on_event: Callable[[LinkEvent], None] = _unheard
        self.keepalive: KeepAlive = KeepAlive()  # of later connections
        self._engine_loop = engine_loop
        self._loop = engine_loop.loop
        self._runner = LinkRunner(engine_loop.engine, seed)
        self._links: dict[int, list[Link]] = {}  # by server
        self._addresses: dict[int, list[LoopAddress] | None] = {}
        engine_loop.links = self

    # ---- what is wanted ----

    def connect(
        self, server: int, options: ServerOptions, addresses: list[LoopAddress] | None, upkeep: Upkeep
    ) -> None:
        are_new = addresses != self._addresses.get(server)
        self._addresses[server] = addresses
        self.keepalive = upkeep.keepalive
        now = self._loop.time()
        known = -1 if addresses is None else len(addresses)
        self._runner.connect(server, options, upkeep.backoff, known, now, are_new)
        links = self._links.setdefault(server, [])
        for index in range(len(links), options.links):
            number = self._runner.number(server, index)
            links.append(Link(self._engine_loop, self, server, index, number))
        self._carry_out()

    def links(self, servers: list[int]) -> list[list[LinkStatus]]:
        return self._runner.links(servers)

    def abort_unsettled(self, server: int) -> None:
        self._runner.abort_unsettled(server, self._loop.time())
        self._carry_out()

    def abort_silent(self, server: int, since: float) -> None:
        self._runner.abort_silent(server, since, self._loop.time())
        self._carry_out()

    def disconnect(self, server: int) -> None:
        self._runner.disconnect(server, self._loop.time())
        self._carry_out()

    def retry_now(self, server: int) -> None:
        self._runner.retry_now(server, self._loop.time())
        self._carry_out()

    def _carry_out(self) -> None:
        for order in self._runner.take_orders():
            try:
                self._carry_out_one(order)
            except Exception:
                # The other links have orders too. This one's attempt ends at its timeout.
                log.exception("%s: an order is not carried out", self._links[order.server][order.link])
        self._engine_loop.schedule()

    def _carry_out_one(self, order: LinkOrder) -> None:
        link = self._links[order.server][order.link]
        if order.closes:
            link.close()
        if order.address >= 0 and (addresses := self._addresses[order.server]) is not None:
            link.connect(addresses[order.address])

    # ---- what became of connections ----

    def made(self, link: Link, host: str, port: int) -> None:
        self._runner.made(link.server, link.index, host, port, self._loop.time())
        self._carry_out()

    def not_made(self, link: Link, error: int) -> None:
        self._runner.not_made(link.server, link.index, error, self._loop.time())
        self._carry_out()

    def received(self, link: Link) -> None:
        self._runner.received(link.server, link.index, self._loop.time())
        self._carry_out()

    def ended(self, link: Link, error: int) -> None:
        self._runner.ended(link.server, link.index, error, self._loop.time())
        self._carry_out()

    # ---- once a turn ----

    def next_wakeup(self) -> float:
        return self._runner.next_wakeup()

    def check(self, now: float) -> None:
        """Begins attempts that are due, ends those that time out."""
        self._runner.check(now)
        self._carry_out()

    def tell(self) -> None:
        """Reports all pending events."""
        events = self._events()
        while events:
            for event in events:
                self.on_event(event)
            events = self._events() if len(events) == EVENTS_MAX else []

    def _events(self) -> list[LinkEvent]:
        return self._runner.events(self._loop.time())

    # ---- the end ----

    async def closed(self, server: int) -> None:
        """Returns when all connections of the server are closed."""
        while any(link.ending for link in self._links.get(server, ())):
            # Transports report their end in the next turn of the loop.
            await asyncio.sleep(0)
        self.tell()

    def detach(self) -> None:
        """In a forked child: the connections belong to the parent only."""
        for links in self._links.values():
            for link in links:
                link.detach()
