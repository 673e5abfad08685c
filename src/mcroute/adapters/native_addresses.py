"""Addresses of servers in the form that the native loop takes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from ..policy import Server

__all__ = ("LoopAddress", "is_name", "resolve")

# (numeric host, port), or the path of a unix socket. A host may end in % and the number of an interface.
LoopAddress = tuple[str, int] | str


def is_name(server: Server) -> bool:
    """Whether its host has to be looked up; so has the interface of an address with a scope."""
    if server.path:
        return False
    try:
        address = ipaddress.ip_address(server.host)
    except ValueError:
        return True
    return isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None


async def resolve(server: Server) -> list[LoopAddress]:
    """Where to connect to, in the order of preference. Raises OSError for a host that is not known."""
    if server.path:
        return [server.path]
    if not is_name(server):
        return [(server.host, server.port)]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{server.host!r} cannot be the name of a host") from error
    return [_numeric(*address) for *_, address in found]


def _numeric(host: str, port: int, flow: int = 0, scope: int = 0) -> LoopAddress:
    return (f"{host}%{scope}" if scope else host, port)
