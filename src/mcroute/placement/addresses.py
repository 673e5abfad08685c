"""Addresses of servers, and the systems' notations for them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ConfigError

__all__ = ("Address", "read_servers")

DEFAULT_PORT = 11211
# No system has larger weights. Below it, sums are exact and all results fit a float.
WEIGHT_END = 1 << 32


@dataclass(frozen=True, slots=True)
class Address:
    """A server: a host and port, or the path of a unix socket with port 0. `name` is "" if none was given."""

    host: str
    port: int = DEFAULT_PORT
    weight: float = 1
    name: str = ""

    @property
    def is_socket(self) -> bool:
        return self.port == 0

    @property
    def is_numeric(self) -> bool:
        """Whether the host is an IP address, not a host name."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        if self.name or self.is_socket:
            return self.name or self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


# Reads a text as an address; returns None if it is not one.
Reader = Callable[[str], "Address | None"]

_TAIL = re.compile(r"(?P<host>[^:]+)(?::(?P<port>\d+))?(?::(?P<weight>\d+))?")
_BRACKETS = re.compile(r"\[(?P<host>[^\]]+)\](?::(?P<port>\d+))?(?::(?P<weight>\d+))?")


def _matched(match: re.Match[str] | None) -> Address | None:
    if match is None:
        return None
    host, port, weight = match["host"], match["port"], match["weight"]
    if host.startswith("/"):
        # After a path, the first number is the weight.
        return Address(host, 0, int(port or 1)) if weight is None else None
    return Address(host, int(port or DEFAULT_PORT), int(weight or 1))


def plain(text: str) -> Address | None:
    """host, host:port, host:port:weight, [v6]:port, /path or unix:/path."""
    text = text.removeprefix("unix:")
    if text.startswith("["):
        return _matched(_BRACKETS.fullmatch(text))
    if text.startswith("/"):
        return _matched(re.fullmatch(r"(?P<host>[^:]+)(?::(?P<port>\d+))?(?P<weight>:)?", text))
    return _matched(_TAIL.fullmatch(text))


def with_name(text: str) -> Address | None:
    """twemproxy's `host:port:weight name`, libmc's `host:port name`; a v6 host is without brackets there."""
    address, _, name = text.partition(" ")
    found = plain(address)
    if found is None and address.count(":") > 2:
        found = _matched(re.fullmatch(r"(?P<host>.+):(?P<port>\d+):(?P<weight>\d+)", address))
    return replace(found, name=name.strip()) if found is not None else None


def with_weight(text: str) -> Address | None:
    """libmemcached's `host:port:weight` or `host:port weight`; `/path?weight` is a path."""
    address, _, weight = text.partition(" ")
    found = plain(address)
    if found is None or not weight:
        return found
    return replace(found, weight=int(weight)) if weight.isdecimal() else None


def as_name(text: str) -> Address | None:
    """The whole text is the server's name."""
    found = plain(text)
    return Address(text, DEFAULT_PORT, 1, text) if found is None else replace(found, weight=1, name=text)


def read_servers(servers: Iterable[Any], reader: Reader) -> tuple[Address, ...]:
    """Texts in the system's notation, tuples (host, port, weight, name), or objects with these attributes.

    Raises ConfigError that names the place.
    """
    if isinstance(servers, (str, bytes)):
        raise ConfigError("servers", "expected a sequence of servers, not one text")
    # Imported late: mcroute's own distributions have int weights, and do not need it.
    from numbers import Real  # noqa: PLC0415

    found = tuple(_read(server, reader, f"servers[{i}]") for i, server in enumerate(servers))
    if not found:
        raise ConfigError("servers", "there is none")
    for i, address in enumerate(found):
        # Written so that NaN is refused too.
        if not isinstance(address.weight, Real) or not 0 <= address.weight < WEIGHT_END:
            raise ConfigError(f"servers[{i}]", f"weight {address.weight!r} is not a number from 0 on")
    return found


def _from_tuple(
    host: str, port: int | None = None, weight: float | None = None, name: str | None = None
) -> Address:
    port = 0 if host.startswith("/") else DEFAULT_PORT if port is None else int(port)
    return Address(host, port, 1 if weight is None else weight, name or "")


def _read(server: Any, reader: Reader, place: str) -> Address:
    if isinstance(server, Address):
        return server
    if isinstance(server, str):
        address = reader(server)
        if address is None:
            raise ConfigError(place, f"{server!r} is not in the system's notation for servers")
        return address
    if isinstance(server, (tuple, list)) and 1 <= len(server) <= 4 and isinstance(server[0], str):
        return _from_tuple(*server)
    path = getattr(server, "path", "")
    if path or getattr(server, "host", ""):
        port = 0 if path else server.port
        address = Address(path or server.host, port, getattr(server, "weight", 1))
        name = getattr(server, "name", "")
        # An object's default name, its address, is no name.
        return address if name == str(address) else replace(address, name=name)
    raise ConfigError(place, f"expected a text, a tuple or an address, got {type(server).__name__}")
