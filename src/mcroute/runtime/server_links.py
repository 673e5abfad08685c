"""All links to one server as one object, for any number of engines and any driver."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from ..policy import Place, Server, ServerOptions, Upkeep
from ..policy.places import Endpoint, is_name, spell_end
from .interfaces import Clock, LinksReport, Task
from .link_values import LinkStatus

__all__ = ("LinkDriver", "LinkHost", "LinkLooks", "ServerLinks", "addresses_of", "report_on")

log: logging.Logger = logging.getLogger("mcroute")

# Links count their replies in 32 bits.
WRAP = 1 << 32


class LinkHost(Protocol):
    """The links of one engine; servers are ids."""

    def connect(
        self, server: int, options: ServerOptions, addresses: list[Endpoint] | None, upkeep: Upkeep
    ) -> None:
        """Keeps `options.links` links to the server; connects at these addresses from now on, in their order.

        Without addresses links and their requests wait until a later call brings some.
        """

    def links(self, servers: list[int]) -> list[list[LinkStatus]]:
        """The states of all links, for each of these servers. RuntimeError if a thread does not answer."""

    def abort_unsettled(self, server: int) -> None:
        """Closes connected links with unanswered requests; they are connected again."""

    def abort_silent(self, server: int, since: float) -> None:
        """Closes connected links that owe replies and last received bytes before `since` (seconds)."""

    def disconnect(self, server: int) -> None:
        """Closes all links of the server; they stay closed until `connect`."""


class LinkDriver(Protocol):
    """The driver's interface for links."""

    @property
    def clock(self) -> Clock: ...

    def retry_now(self, server: int) -> None:
        """Links that wait for their next attempt connect now, in every engine."""

    def located(self, server: int, place: Place) -> None:
        """The server's address leads to this place from now on."""

    async def resolve(self, server: Server) -> list[Endpoint]:
        """The server's addresses, in order of preference. OSError for an unresolved host name."""

    def place_of(self, server: Server, addresses: Sequence[Endpoint] = ()) -> Place:
        """The place of a server with these addresses."""

    async def closed(self, server: int) -> None:
        """Returns when all connections of the server are closed, and their events are handled."""


class LinkLooks:
    """Reads the states of many servers' links at once, in all engines."""

    def __init__(self, hosts: Sequence[LinkHost], clock: Clock) -> None:
        self._hosts = hosts
        self._clock = clock
        self._awaited: set[int] = set()
        self._found: dict[int, list[LinkStatus]] = {}

    def now(self, servers: Sequence[int]) -> list[list[LinkStatus]]:
        """For each server, the state of each link. Raises RuntimeError if a thread does not answer."""
        columns = [host.links(list(servers)) for host in self._hosts]
        return [[link for links in row for link in links] for row in zip(*columns, strict=True)]

    async def soon(self, server: int, look_s: float) -> list[LinkStatus]:
        """After `look_s` seconds, with other servers asked for meanwhile; later if a thread hangs."""
        self._awaited.add(server)
        while server in self._awaited:
            await self._clock.sleep(look_s)
            if server in self._awaited:
                self._look()
        return self._found[server]

    def _look(self) -> None:
        servers = list(self._awaited)
        try:
            self._found.update(zip(servers, self.now(servers), strict=True))
        except RuntimeError:
            return
        self._awaited.clear()


def addresses_of(links: Iterable[LinkStatus]) -> frozenset[str]:
    """Our ends of the connected links."""
    return frozenset(spell_end(*link.end) for link in links if link.end)


def report_on(links: Sequence[LinkStatus]) -> LinksReport:
    """All links of a server as one report."""
    connected = sum(link.is_connected for link in links)
    return LinksReport(connected, sum(link.unanswered for link in links), _version_of(links))


def _version_of(links: Iterable[LinkStatus]) -> str:
    for link in links:
        word, _, version = link.greeting.partition(b" ")
        if word == b"VERSION":
            return version.decode(errors="replace")
    return ""


def _is_before(count: int, other: int) -> bool:
    return 0 < (other - count) % WRAP < WRAP // 2


class ServerLinks:
    """`options.links` links in each engine, which connect at once, and again when one is lost.

    The server has the id `number`. Without `addresses`, its name is resolved first, and again after a failed
    attempt.
    """

    def __init__(
        self,
        driver: LinkDriver,
        hosts: Sequence[LinkHost],
        looks: LinkLooks,
        number: int,
        server: Server,
        options: ServerOptions,
        addresses: Sequence[Endpoint] | None,
        upkeep: Upkeep,
    ) -> None:
        self.server: Server = server
        self._driver = driver
        self._hosts = hosts
        self._looks = looks
        self._id = number
        self._options = options
        self._upkeep = upkeep
        self._addresses: list[Endpoint] | None = None if addresses is None else list(addresses)
        self._is_closed = False
        self._resolving: Task[None] | None = None
        self._connect()
        if self._addresses is None:
            self._look_up()

    def __repr__(self) -> str:
        report = self.look()
        connected = f"{report.connected} connected, {report.unanswered} requests unanswered"
        return f"<links to {self.server.name}: {connected}>"

    def _connect(self) -> None:
        for host in self._hosts:
            host.connect(self._id, self._options, self._addresses, self._upkeep)

    def __len__(self) -> int:
        return self._options.links

    # ---- how they are ----

    def _status(self) -> list[LinkStatus]:
        return self._looks.now([self._id])[0]

    def look(self) -> LinksReport:
        return report_on(self._status())

    @property
    def connected(self) -> int:
        return self.look().connected

    @property
    def are_connected(self) -> bool:
        return all(link.is_connected for link in self._status())

    @property
    def unanswered(self) -> int:
        return self.look().unanswered

    @property
    def version(self) -> str:
        return self.look().version

    @property
    def addresses(self) -> frozenset[str]:
        return addresses_of(self._status())

    # ---- where they lead to ----

    def set_options(self, options: ServerOptions) -> None:
        self._options = replace(options, links=len(self))
        self._connect()

    def set_server(self, server: Server, addresses: Sequence[Endpoint]) -> None:
        """The same server with another name or address, for later connections."""
        self.server = server
        if addresses:
            self._addresses = list(addresses)
            self._connect()

    def look_up_again(self) -> None:
        """After a failed attempt: the server's name may have another address now."""
        # A late event: the id may belong to another server now.
        if self._is_closed or not is_name(self.server):
            return
        if self._resolving is None or self._resolving.done():
            self._look_up()

    def _look_up(self) -> None:
        self._resolving = self._driver.clock.start(self._resolve())

    async def _resolve(self) -> None:
        server = self.server
        try:
            addresses = await self._driver.resolve(server)
        except Exception as error:
            if not isinstance(error, OSError):
                # No thread could be started for it, perhaps. Links must not wait for it without end.
                log.exception("the lookup of %s is given up, and begun again later", self.server.host)
            if self._addresses is not None:
                return
            # Requests that wait for the lookup fail.
            addresses = []
        if self._is_closed or addresses == self._addresses:
            return
        if self.server != server and self._addresses is not None:
            # A reload has given the server another address meanwhile.
            return
        self._addresses = addresses
        if addresses:
            # Before any request can be sent there.
            self._driver.located(self._id, self._driver.place_of(self.server, addresses))
        self._connect()

    # ---- made and closed ----

    async def tried(self) -> None:
        links = self._status()
        while not all(link.is_tried for link in links):
            links = await self._looks.soon(self._id, self._upkeep.links_look_s)

    def retry_now(self) -> None:
        self._driver.retry_now(self._id)

    async def settled(self) -> None:
        self.retry_now()
        links = self._status()
        while not all(link.is_connected and not link.unanswered for link in links):
            links = await self._looks.soon(self._id, self._upkeep.links_look_s)

    async def passed(self) -> None:
        links = await self._looks.soon(self._id, self._upkeep.links_look_s)
        ends = [link.answered + link.unanswered for link in links]
        while any(_is_before(link.answered, end) for end, link in zip(ends, links, strict=True)):
            links = await self._looks.soon(self._id, self._upkeep.links_look_s)

    def abort_silent(self, since: float) -> None:
        for host in self._hosts:
            host.abort_silent(self._id, since)

    def abort_unsettled(self) -> None:
        for host in self._hosts:
            host.abort_unsettled(self._id)

    def disconnect(self) -> None:
        for host in self._hosts:
            host.disconnect(self._id)

    def close(self) -> None:
        self._is_closed = True
        if self._resolving is not None:
            self._resolving.cancel()
        self.disconnect()

    async def closed(self) -> None:
        await self._driver.closed(self._id)
