"""Places of servers: missed writes belong to the place, under any name and spelling of its address.

A place is a set of endpoints: numeric addresses with ports, or paths. Host names are resolved elsewhere.
The empty place is an unknown one.
"""

from __future__ import annotations

import functools
import ipaddress
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from typing import TypeAlias

from .servers import Server

__all__ = (
    "Endpoint",
    "Place",
    "PlaceTable",
    "Places",
    "continued",
    "fixed_endpoints",
    "is_name",
    "shared",
    "spell_end",
    "spelled",
    "spelled_alike",
    "written",
)

# (numeric host, port), or the path of a unix socket.
Endpoint: TypeAlias = "tuple[str, int] | str"
Place: TypeAlias = frozenset[Endpoint]
Places: TypeAlias = Mapping[str, Place]  # by the server's name

# One process may listen on both; two processes rarely share the port.
_LOOPBACK = ("127.0.0.1", "::1")


def spelled(server: Server) -> Place:
    """The address as written, for a server whose host is not resolved."""
    return frozenset((server.address,))


def fixed_endpoints(server: Server) -> list[Endpoint] | None:
    """The endpoints to connect to; None for a host name, which must be resolved."""
    if server.path:
        return [server.path]
    return None if is_name(server) else [(server.host, server.port)]


def spell_end(host: str, port: int) -> str:
    """An end of a connection. Servers that listen on all addresses show IPv4 clients as mapped IPv6 ones.

    For a unix socket `host` is "unix", and `port` the listening process.
    """
    return f"{_spell_host(host)}:{port}"


@functools.lru_cache(1024)
def _spell_host(host: str) -> str:
    bare = host.strip("[]").partition("%")[0]
    if bare in ("*", "unix"):
        return bare
    address = ipaddress.ip_address(bare)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def is_name(server: Server) -> bool:
    """Whether its host must be resolved; so must the interface of an address with a scope."""
    if server.path:
        return False
    try:
        address = ipaddress.ip_address(server.host)
    except ValueError:
        return True
    return isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None


def spelled_alike(endpoint: Endpoint) -> Endpoint:
    """The canonical spelling of an endpoint."""
    if isinstance(endpoint, str):
        return endpoint
    host, port = endpoint
    number = ipaddress.ip_address(host)
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    if number.is_unspecified:
        # A connection to the unspecified address leads to this machine.
        return _LOOPBACK[number.version == 6], port
    return str(number), port


def written(server: Server) -> Place:
    """The place that the address itself gives; empty for a host name."""
    return frozenset() if is_name(server) else frozenset((spelled_alike(server.address),))


def shared(places: Places) -> list[tuple[str, str, Endpoint]]:
    """Servers that share an endpoint, and so are one server: two names in order, and the endpoint."""
    first: dict[Endpoint, str] = {}
    found: list[tuple[str, str, Endpoint]] = []
    for name, place in places.items():
        others = {first.setdefault(endpoint, name): endpoint for endpoint in sorted(place, key=str)}
        found += ((other, name, endpoint) for other, endpoint in others.items() if other != name)
    return found


def _marks(place: Place) -> Iterator[Hashable]:
    """Two places that share a mark may be one."""
    for endpoint in place:
        yield endpoint
        if isinstance(endpoint, tuple) and endpoint[0] in _LOOPBACK:
            yield "loopback", endpoint[1]


def continued(
    before: Mapping[str, tuple[Server, Place]], after: Mapping[str, tuple[Server, Place]]
) -> dict[str, str]:
    """For servers of a later plan, by name: the name of the same server in the earlier plan.

    A server is the same one if its name and address are the same, or else if only it has the same place.
    Its id and its links continue; a server at the places of several earlier servers continues none.
    """
    same = {
        name: name
        for name, (server, _) in after.items()
        if name in before and _is_same(before[name][0], server)
    }
    leaving = _by_endpoint({name: place for name, (_, place) in before.items() if name not in same})
    joining = {name: place for name, (_, place) in after.items() if name not in same}
    claimed: dict[str, list[str]] = defaultdict(list)
    for name, place in joining.items():
        found = {old for endpoint in place for old in leaving.get(endpoint, ())}
        for old in found:
            # A second claim, by either side, makes the relation ambiguous.
            claimed[old] += [name] if len(found) == 1 else [name, name]
    return same | {names[0]: old for old, names in claimed.items() if len(names) == 1}


def _is_same(a: Server, b: Server) -> bool:
    return a.name == b.name and a.address == b.address


def _by_endpoint(places: Places) -> Mapping[Endpoint, list[str]]:
    found: dict[Endpoint, list[str]] = defaultdict(list)
    for name, place in places.items():
        for endpoint in place:
            found[endpoint].append(name)
    return found


class PlaceTable:
    """Numbers by place: `near` finds the numbers whose place may be the same."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._marked: dict[Hashable, set[int]] = defaultdict(set)
        self._unknown: set[int] = set()

    def add(self, key: int, place: Place) -> None:
        self._places[key] = place
        if not place:
            self._unknown.add(key)
        for mark in _marks(place):
            self._marked[mark].add(key)

    def remove(self, key: int) -> None:
        for mark in _marks(self._places.pop(key)):
            self._marked[mark].discard(key)
            if not self._marked[mark]:
                del self._marked[mark]
        self._unknown.discard(key)

    def near(self, place: Place) -> set[int]:
        if not place:
            return set(self._places)
        return self._unknown.union(*(self._marked.get(mark, ()) for mark in _marks(place)))
