"""All links to one server, of all threads, as one thing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from .._loop.news import LinkFacts
from .._loop.threads import LoopThread
from ..policy import Place, Server
from .addresses import LoopAddress, is_name, place_of, resolve
from .asyncio_control import spell_address
from .asyncio_links import LinksReport

__all__ = ("NativeLinks",)

LOOK_S = 0.01


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
        hear: Callable[[], None],
        located: Callable[[int, Place], None],
    ) -> None:
        self.server: Server = server
        self._threads = threads
        self._id = number
        self._timeout_s = timeout_s
        self._count = count
        self._addresses = addresses
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

    def _facts(self) -> Iterator[LinkFacts]:
        for thread in self._threads:
            yield from thread.links(self._id)

    def look(self) -> LinksReport:
        facts = list(self._facts())
        connected = sum(link.is_connected for link in facts)
        return LinksReport(connected, sum(link.unanswered for link in facts), _version_of(facts))

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
        return frozenset(spell_address(*link.name) for link in self._facts() if link.name)

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
        while not all(link.is_tried for link in self._facts()):
            await asyncio.sleep(LOOK_S)

    def hurry(self) -> None:
        for thread in self._threads:
            thread.hurry(self._id)

    async def settled(self) -> None:
        self.hurry()
        while not all(link.is_connected and not link.unanswered for link in self._facts()):
            await asyncio.sleep(LOOK_S)

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
