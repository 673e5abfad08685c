"""All links to one server, of all threads, as one thing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from ..._loop.news import LinkFacts
from ..._loop.threads import LoopThread
from ...policy import Place, Server
from ...runtime.interfaces import LinksReport
from ..asyncio.addresses import LoopAddress, is_name, place_of, resolve
from ..asyncio.control import spell_address

__all__ = ("LinkLooks", "NativeLinks", "addresses_of", "report_on")

LOOK_S = 0.01


class LinkLooks:
    """Looks at the links of many servers at once, in all threads. Belongs to the running loop."""

    def __init__(self, threads: Sequence[LoopThread]) -> None:
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._awaited: dict[int, asyncio.Future[list[LinkFacts]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def now(self, servers: Sequence[int]) -> list[list[LinkFacts]]:
        """For each server one for each of its links. Raises RuntimeError if a thread does not answer."""
        columns = [thread.links(list(servers)) for thread in self._threads]
        return [[fact for facts in row for fact in facts] for row in zip(*columns, strict=True)]

    async def soon(self, server: int) -> list[LinkFacts]:
        """After a moment, together with others that are asked for meanwhile; later if a thread hangs."""
        if server not in self._awaited:
            self._awaited[server] = self._loop.create_future()
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._look)
        # Several may wait for it, and one of them be cancelled.
        return await asyncio.shield(self._awaited[server])

    def _look(self) -> None:
        self._timer = None
        try:
            found = self.now(list(self._awaited))
        except RuntimeError:
            self._timer = self._loop.call_later(LOOK_S, self._look)
            return
        for future, facts in zip(self._awaited.values(), found, strict=True):
            future.set_result(facts)
        self._awaited.clear()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def addresses_of(facts: Sequence[LinkFacts]) -> frozenset[str]:
    """Our ends of those that are connected."""
    return frozenset(spell_address(*link.name) for link in facts if link.name)


def report_on(facts: Sequence[LinkFacts]) -> LinksReport:
    """All links of a server as one."""
    connected = sum(link.is_connected for link in facts)
    return LinksReport(connected, sum(link.unanswered for link in facts), _version_of(facts))


class NativeLinks:
    """`count` links in each thread, which begin to connect at once, and again whenever one is lost.

    A host that has a name is looked up again when it cannot be connected to.
    """

    def __init__(
        self,
        threads: Sequence[LoopThread],
        number: int,
        server: Server,
        timeout_s: float,
        count: int,
        addresses: Sequence[LoopAddress],
        looks: LinkLooks,
        hurry: Callable[[int], None],
        hear: Callable[[], None],
        located: Callable[[int, Place], None],
    ) -> None:
        self.server: Server = server
        self._threads = threads
        self._id = number
        self._timeout_s = timeout_s
        self._count = count
        self._addresses = addresses
        self._looks = looks
        self._hurry = hurry
        self._hear = hear
        self._located = located
        self._is_cancelled = False
        self._resolving: asyncio.Task[None] | None = None
        self._connect()

    def _connect(self) -> None:
        for thread in self._threads:
            thread.connect(self._id, self._count, self._timeout_s, self._addresses)

    def __len__(self) -> int:
        return self._count

    def _facts(self) -> list[LinkFacts]:
        return self._looks.now([self._id])[0]

    def look(self) -> LinksReport:
        return report_on(self._facts())

    @property
    def connected(self) -> int:
        return self.look().connected

    @property
    def are_connected(self) -> bool:
        return all(link.is_connected for link in self._facts())

    @property
    def unanswered(self) -> int:
        return self.look().unanswered

    @property
    def version(self) -> str:
        return self.look().version

    @property
    def addresses(self) -> frozenset[str]:
        return addresses_of(self._facts())

    def set_timeout(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._connect()

    def set_server(self, server: Server, addresses: Sequence[LoopAddress]) -> None:
        """The same server under another name or address: for connections that will be made."""
        self.server = server
        if addresses:
            self._addresses = addresses
            self._connect()

    def look_up_again(self) -> None:
        """The server could not be connected to: its name may mean another address by now."""
        # News of a server that has left may be late: its number is perhaps another's by now.
        if self._is_cancelled or not is_name(self.server):
            return
        if self._resolving is None or self._resolving.done():
            self._resolving = asyncio.get_running_loop().create_task(self._look_up())

    async def _look_up(self) -> None:
        try:
            addresses = await resolve(self.server)
        except OSError:
            return
        if addresses != self._addresses:
            self._addresses = addresses
            # Before anything can be asked there.
            self._located(self._id, place_of(self.server, addresses))
            self._connect()

    async def tried(self) -> None:
        facts = self._facts()
        while not all(link.is_tried for link in facts):
            facts = await self._looks.soon(self._id)

    def hurry(self) -> None:
        self._hurry(self._id)

    async def settled(self) -> None:
        self.hurry()
        facts = self._facts()
        while not all(link.is_connected and not link.unanswered for link in facts):
            facts = await self._looks.soon(self._id)

    def abort_silent(self, since: float) -> None:
        for thread in self._threads:
            thread.drop_silent(self._id, since)

    def abort_unsettled(self) -> None:
        for thread in self._threads:
            thread.settle(self._id)

    def cancel(self) -> Sequence[asyncio.Task[None]]:
        self._is_cancelled = True
        self.abort()
        if self._resolving is None:
            return ()
        self._resolving.cancel()
        return (self._resolving,)

    def abort(self) -> None:
        for thread in self._threads:
            thread.leave(self._id)

    async def gone(self) -> None:
        """They are when `abort` returns; who else gets the number is not to hear of it."""
        self._hear()


def _version_of(links: Iterable[LinkFacts]) -> str:
    for link in links:
        word, _, version = link.greeting.partition(b" ")
        if word == b"VERSION":
            return version.decode(errors="replace")
    return ""
