"""Addresses of servers as numbers: where to connect to, and the places that tell servers apart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from ...policy import Place, Plan, Server
from ...policy.places import Endpoint, fixed_endpoints, is_name, spelled_alike
from . import lookups

__all__ = ("LoopAddress", "is_name", "locate", "place_of", "resolve")

# A host may end in % and the number of an interface.
LoopAddress = Endpoint


async def resolve(server: Server) -> list[LoopAddress]:
    """Where to connect to, in the order of preference. Raises OSError for a host that is not known (yet)."""
    fixed = fixed_endpoints(server)
    if fixed is not None:
        return fixed
    return [(host, server.port) for host in await lookups.find(server.host)]


async def locate(plan: Plan) -> dict[str, list[LoopAddress]]:
    """The addresses of each of the plan's servers by name, empty for a host that is not known yet.

    Takes no longer than one lookup may.
    """
    found = await asyncio.gather(*map(resolve, plan.servers), return_exceptions=True)
    return {
        server.name: addresses if isinstance(addresses, list) else []
        for server, addresses in zip(plan.servers, found, strict=True)
    }


def place_of(server: Server, addresses: Sequence[LoopAddress] = ()) -> Place:
    """The place of a server that is at these addresses; without them, of one whose host is no name."""
    if server.path:
        return frozenset((os.path.realpath(server.path),))
    if not is_name(server):
        addresses = [(server.host, server.port)]
    return frozenset(map(spelled_alike, addresses))
