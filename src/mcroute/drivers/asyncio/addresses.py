"""Numeric addresses of servers: endpoints to connect to, and the servers' places."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from ...policy import Place, Plan, Server
from ...policy.places import Endpoint, fixed_endpoints, is_name, spelled_alike
from .lookups import Lookups

__all__ = ("LoopAddress", "Resolver", "is_name", "place_of")

# A host may end in % and the number of an interface.
LoopAddress = Endpoint


class Resolver:
    """Finds the endpoints of servers, whose names it looks up by `lookups`."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    async def resolve(self, server: Server) -> list[LoopAddress]:
        """The server's endpoints, in order of preference. Raises OSError for an unresolved host name."""
        fixed = fixed_endpoints(server)
        if fixed is not None:
            return fixed
        return [(host, server.port) for host in await self._lookups.find(server.host)]

    async def locate(self, plan: Plan) -> dict[str, list[LoopAddress]]:
        """The addresses of the plan's servers by name, empty for a host name that is not resolved yet.

        Returns within the timeout of one lookup.
        """
        found = await asyncio.gather(*map(self.resolve, plan.servers), return_exceptions=True)
        return {
            server.name: addresses if isinstance(addresses, list) else []
            for server, addresses in zip(plan.servers, found, strict=True)
        }

    def place_of(self, server: Server, addresses: Sequence[LoopAddress] = ()) -> Place:
        """The place of a server with these addresses; see the function `place_of`."""
        return place_of(server, addresses)

    def failure(self, host: str) -> OSError | None:
        """The reason why the host has no address; None if it has one, or was not looked up."""
        return self._lookups.failure(host)


def place_of(server: Server, addresses: Sequence[LoopAddress] = ()) -> Place:
    """The place of a server with these addresses; without addresses, of a server whose host is numeric."""
    if server.path:
        return frozenset((os.path.realpath(server.path),))
    if not is_name(server):
        addresses = [(server.host, server.port)]
    return frozenset(map(spelled_alike, addresses))
