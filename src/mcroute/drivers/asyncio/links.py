"""All links of one server as one thing: each key has one of them, so it takes all of them to serve."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from ...policy import Server, ServerState
from ...runtime.interfaces import LinksReport
from .addresses import LoopAddress
from .engine_loop import EngineLoop
from .link import Link, LinkObserver
from .retrying import Retry

__all__ = ("ServerLinks",)

SETTLED_LOOK_S = 0.01


class ServerLinks:
    """`count` links to the server, which begin to connect at once, and again whenever one is lost."""

    def __init__(
        self,
        engine_loop: EngineLoop,
        number: int,
        server: Server,
        timeout_s: float,
        count: int,
        observer: LinkObserver,
        rng: Random,
    ) -> None:
        self.server: Server = server
        self._engine_loop = engine_loop
        self._retry = Retry(
            engine_loop.loop, rng, lambda: engine_loop.engine.server_state(number) != ServerState.UP
        )
        self._links = tuple(
            Link(engine_loop, number, server, timeout_s, observer, self._retry, index)
            for index in range(count)
        )
        self._tasks = tuple(engine_loop.loop.create_task(link.run()) for link in self._links)

    def __len__(self) -> int:
        return len(self._links)

    @property
    def is_kept(self) -> bool:
        """Whether any of them will be connected, or is."""
        return self.connected > 0 or not all(task.done() for task in self._tasks)

    def look(self) -> LinksReport:
        return LinksReport(self.connected, self.unanswered, self.version)

    @property
    def connected(self) -> int:
        """How many of them are."""
        return sum(link.is_connected for link in self._links)

    @property
    def are_connected(self) -> bool:
        """All of them."""
        return self.connected == len(self)

    @property
    def unanswered(self) -> int:
        """Requests on all of them that have no reply yet."""
        return sum(link.unanswered for link in self._links)

    @property
    def version(self) -> str:
        """What the server calls itself; empty before it has said so."""
        return next((link.version for link in self._links if link.version), "")

    @property
    def addresses(self) -> frozenset[str]:
        """Our ends of those that are connected."""
        return frozenset(link.address for link in self._links if link.is_connected)

    def set_timeout(self, timeout_s: float) -> None:
        """For connections that will be made."""
        for link in self._links:
            link.timeout_s = timeout_s

    def set_server(self, server: Server, addresses: Sequence[LoopAddress]) -> None:
        """The same server under another name or address: for connections that will be made."""
        self.server = server
        for link in self._links:
            link.server = server

    async def tried(self) -> None:
        """Returns when the first attempt to connect each of them is over."""
        for link in self._links:
            await link.is_tried.wait()

    async def settled(self) -> None:
        """Returns when all are connected at the same time, and every request on them is answered."""
        self.hurry()
        while not all(link.is_settled for link in self._links):
            await asyncio.sleep(SETTLED_LOOK_S)

    def hurry(self) -> None:
        """Those that wait for their next attempt to connect make it now."""
        self._retry.hurry()

    def abort_silent(self, since: float) -> None:
        """Closes those that owe replies and were last heard before then; they are connected again."""
        for link in self._links:
            if link.silent_since < since:
                link.abort()

    def abort_unsettled(self) -> None:
        """Closes those with unanswered requests; they are connected again."""
        for link in self._links:
            if link.is_connected and link.unanswered:
                link.abort()

    def cancel(self) -> tuple[asyncio.Task[None], ...]:
        """None is connected again once the returned tasks have ended."""
        for task in self._tasks:
            task.cancel()
        return self._tasks

    def abort(self) -> None:
        for link in self._links:
            link.abort()

    async def gone(self) -> None:
        """Returns when none is connected: transports report their end in the next turn of the loop."""
        while any(link.is_open for link in self._links):
            await asyncio.sleep(0)

    def let_go(self) -> None:
        """In a forked child: the connections are the parent's alone from now on."""
        for link in self._links:
            link.let_go()
