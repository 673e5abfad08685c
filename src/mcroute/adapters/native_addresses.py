"""Addresses of servers in the form that the native loop takes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from ..policy import Server

__all__ = ("LoopAddress", "is_name", "resolve")

# (numeric host, port), or the path of a unix socket.
LoopAddress = tuple[str, int] | str


def is_name(server: Server) -> bool:
    """Whether its host has to be looked up."""
    if server.path:
        return False
    try:
        ipaddress.ip_address(server.host)
    except ValueError:
        return True
    return False


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
    return [(str(address[0]), int(address[1])) for *_, address in found]
