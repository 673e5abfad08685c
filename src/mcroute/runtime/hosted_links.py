"""The part of a driver that is about links, for any kind of engines and of connections."""

from __future__ import annotations

import abc
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from ..policy import Place, Plan, Server, ServerOptions, Upkeep
from ..policy.places import Endpoint
from .interfaces import Clock, Links, LinksReport, LinksWatcher
from .link_events import report
from .link_values import LinkEvent
from .server_links import LinkHost, LinkLooks, ServerLinks, addresses_of, report_on

__all__ = ("HostedLinks", "Resolver")

log: logging.Logger = logging.getLogger("mcroute")


class Resolver(Protocol):
    """Finds the endpoints of servers."""

    async def resolve(self, server: Server) -> list[Endpoint]:
        """The server's endpoints, in order of preference. Raises OSError for an unresolved host name."""

    async def locate(self, plan: Plan) -> Mapping[str, list[Endpoint]]:
        """The endpoints of the plan's servers by name, empty for a host name that is not resolved yet.

        Returns within the timeout of one lookup.
        """

    def place_of(self, server: Server, addresses: Sequence[Endpoint] = ()) -> Place:
        """The place of a server at these addresses. Without them, uses the server's own address."""

    def failure(self, host: str) -> OSError | None:
        """The reason why the host has no address; None if it has one, or was not looked up."""


class HostedLinks(abc.ABC):
    """Base of a `Driver`, and a `LinkDriver`: links of each server in each of `hosts`, one per engine.

    A driver adds the engine, `retry_now` and `closed`, and passes the events of its hosts to `_tell`.
    """

    def __init__(self, hosts: Sequence[LinkHost], clock: Clock, resolver: Resolver) -> None:
        self.clock: Clock = clock
        self._hosts = hosts
        self._resolver = resolver
        self._looks = LinkLooks(hosts, clock)
        self._links: dict[int, ServerLinks] = {}

    def supervise(self, supervision: LinksWatcher) -> None:
        self._supervision = supervision

    def _tell(self, event: LinkEvent) -> None:
        """Reports one event to the supervision. Raises nothing: the other events are reported too."""
        try:
            report(self._supervision, event, self._links, self._resolver.failure)
        except Exception:
            log.exception("an event of a link is lost: %r", event)

    async def prepare(self, plan: Plan) -> Mapping[str, list[Endpoint]]:
        return await self._resolver.locate(plan)

    def place_of(self, server: Server, addresses: Sequence[Endpoint] = ()) -> Place:
        return self._resolver.place_of(server, addresses)

    def connect(
        self,
        number: int,
        server: Server,
        options: ServerOptions,
        addresses: Sequence[Endpoint] | None,
        upkeep: Upkeep,
    ) -> ServerLinks:
        links = ServerLinks(self, self._hosts, self._looks, number, server, options, addresses, upkeep)
        self._links[number] = links
        return links

    def look(self, links: Mapping[int, Links]) -> Mapping[int, LinksReport]:
        return dict(zip(links, map(report_on, self._looks.now(list(links))), strict=True))

    def addresses(self, links: Mapping[int, Links]) -> Mapping[int, frozenset[str]]:
        return dict(zip(links, map(addresses_of, self._looks.now(list(links))), strict=True))

    # ---- for links ----

    @abc.abstractmethod
    def retry_now(self, server: int) -> None: ...

    def located(self, server: int, place: Place) -> None:
        self._supervision.located(server, place)

    async def resolve(self, server: Server) -> list[Endpoint]:
        return await self._resolver.resolve(server)

    @abc.abstractmethod
    async def closed(self, server: int) -> None: ...
