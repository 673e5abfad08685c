"""Servers and pools, and their timeouts and limits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

from ..errors import ConfigError
from ..placement import Address, Like
from ..placement.counts import ketama_groups
from .server_options import ServerOptions, check_seconds

if TYPE_CHECKING:
    from .._ring import Ring

__all__ = (
    "DEFAULT_PORT",
    "Addresses",
    "Pool",
    "Server",
    "host_and_port",
    "split_address",
)

DEFAULT_PORT = 11211
# Bytes of a unix socket's path that fit the system's address structure.
PATH_MAX = 107 if sys.platform == "linux" else 103
# Of a port, or of a weight.
DIGITS_MAX = 18

# Pools with the same placement share a ring: it is built once, and more often in the processor's cache.
_RINGS: WeakValueDictionary[tuple[object, ...], Ring] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Server:
    """One memcached: a TCP host and port, or the path of a unix socket.

    `name` is hashed by the ring and shown in metrics; a new address under the same name moves no keys.
    `weight` is its share of the pool's keys, relative to the other weights. A server that is `down` keeps its
    place and its keys, and is asked for nothing: its keys go to the other copies, or to stand-ins.
    """

    name: str
    host: str = ""
    port: int = DEFAULT_PORT
    weight: int = 1
    path: str = ""
    down: bool = False

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable() or " " in self.name:
            raise ConfigError("server", f"a name without blanks is needed, not {self.name!r}")
        if bool(self.host) == bool(self.path):
            raise ConfigError(self.name, "either a host or the path of a unix socket is needed")
        if self.host and (not self.host.isprintable() or any(c in " /" for c in self.host)):
            raise ConfigError(self.name, f"{self.host!r} is no host")
        if "\0" in self.path or len(self.path.encode("utf-8", "surrogateescape")) > PATH_MAX:
            raise ConfigError(self.name, f"a path of 1 to {PATH_MAX} bytes is needed, not {self.path!r}")
        if not self.path and not 0 < self.port < 65536:
            raise ConfigError(self.name, f"port {self.port} is not between 1 and 65535")
        if self.weight < 1:
            raise ConfigError(self.name, f"weight {self.weight} is less than 1")

    @classmethod
    def parse(cls, text: str, *, name: str = "", place: str = "server") -> Server:
        """Reads "host:port", "host:port:weight", "[v6]:port[:weight]", "/path" or "unix:/path".

        The default port is 11211. Without `name` the server's name is its address, without the weight.
        Raises ConfigError with `place`.
        """
        try:
            path = text.removeprefix("unix:")
            if path.startswith("/"):
                _check_path(text)
                return cls(name or path, path=path)
            host, port, weight = split_address(text)
            port = DEFAULT_PORT if port is None else port
            return cls(name or host_and_port(host, port), host, port, 1 if weight is None else weight)
        except ConfigError as error:
            raise ConfigError(place, error.message) from None

    @classmethod
    def of(cls, address: str | tuple[str, int] | Server, *, place: str = "server") -> Server:
        """Reads an address like `parse`, or a pair of host and port; returns a Server unchanged.

        Raises ConfigError with `place`.
        """
        if isinstance(address, Server):
            return address
        if isinstance(address, str):
            return cls.parse(address, place=place)
        if not _is_pair(address):
            raise ConfigError(place, f"{address!r:.80} is neither an address, nor (host, port), nor a Server")
        host, port = address
        try:
            return cls(host_and_port(host, port), host, port)
        except ConfigError as error:
            raise ConfigError(place, error.message) from None

    @property
    def address(self) -> tuple[str, int] | str:
        """The address to connect to: (host, port), or the path of a unix socket."""
        return self.path or (self.host, self.port)

    @property
    def where(self) -> str:
        """The address as text."""
        return self.path or host_and_port(self.host, self.port)


Addresses = str | tuple[str, int] | Server | Sequence[str | tuple[str, int] | Server]


def _is_pair(value: object) -> bool:
    """Whether it is a host and a port, rather than two addresses."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
    )


def _several(addresses: Addresses) -> Sequence[str | tuple[str, int] | Server]:
    """A sequence of addresses; one address becomes a sequence of one."""
    if isinstance(addresses, str | Server) or _is_pair(addresses):
        return (cast("str | Server", addresses),)
    return cast("Sequence[str | Server]", addresses)


def host_and_port(host: str, port: int) -> str:
    """The address as in a configuration: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_path(text: str) -> None:
    path, colon, number = text.rpartition(":")
    if not colon or not (number.isascii() and number.isdecimal()):
        return
    instead = f'{{ address = "{path}", weight = {number} }}'
    raise ConfigError("", f"{text!r}: the weight of a unix socket is a separate option; write {instead}")


def split_address(text: str) -> tuple[str, int | None, int | None]:
    """The host, port and weight of "host[:port[:weight]]". Raises ConfigError without a place."""
    if text.startswith("unix:"):
        raise ConfigError(
            "", f"{text!r}: the path of a unix socket begins with /, as in unix:/run/cache.sock"
        )
    if "://" in text:
        raise ConfigError("", f"{text!r} is not host:port: an address has no scheme")
    if text.isascii() and text.isdecimal():
        raise ConfigError("", f"{text!r} has no host; write for instance 127.0.0.1:{text}")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ConfigError("", f"{text!r} is not [address]:port")
        numbers = rest.split(":")[1:]
    else:
        host, *numbers = text.split(":")
        if len(numbers) > 2 or text.startswith("::"):
            raise ConfigError("", f"{text!r}: an IPv6 address is written in brackets, [::1]:11211")
    if not host or len(numbers) > 2:
        raise ConfigError("", f"{text!r} is not host:port or host:port:weight")
    # isdecimal alone would accept other scripts' digits, int() signs and underscores.
    if not all(n.isascii() and n.isdecimal() and len(n) <= DIGITS_MAX for n in numbers):
        raise ConfigError("", f"{text!r:.80}: port and weight are decimal numbers")
    values = [int(n) for n in numbers]
    return host, values[0] if values else None, values[1] if len(values) == 2 else None


@dataclass(frozen=True, slots=True, repr=False)
class Pool(ServerOptions):
    """Named servers that share a key space, with their timeouts (seconds).

    `reply_timeout_s` is for one ask, `deadline_s` for the whole request with all its failovers. `trip_after`
    failures in a row eject a server. With copies, a read that a server has not answered for `hedge_after_s`,
    and for `hedge_percentile` of the pool's recent replies, is asked of the next copy too; 0 s switches this
    off, 0 % leaves the time alone. `links` is the number of connections to each server, at most 16; each key
    uses one of them. `value_max` is the largest value, in bytes, that is read from the servers (0: each
    server's own limit). `identity` "same" accepts only the known process or a restart of it after an absence,
    "any" accepts any process. `placement` places keys as another client or proxy does, instead of a
    `distribution` of mcroute's own; keys are then those on the wire. Options are given by name. Raises
    ConfigError for no servers, duplicate names, and values out of range.
    """

    name: str
    servers: tuple[Server, ...]
    distribution: str = "murmur3"
    deadline_s: float = field(default=1.0, kw_only=True)
    hedge_after_s: float = field(default=0.0, kw_only=True)
    hedge_percentile: float = field(default=95.0, kw_only=True)
    placement: Like | None = field(default=None, kw_only=True)
    _ring: Ring | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "servers", tuple(self.servers))
        place = f"pools.{self.name}"
        if not self.name:
            raise ConfigError("pools", "a pool needs a name")
        if not self.servers:
            raise ConfigError(f"{place}.servers", "a pool needs at least one server")
        seen: set[str] = set()
        for i, server in enumerate(self.servers):
            if server.name in seen:
                raise ConfigError(f"{place}.servers[{i}]", f"a second server named {server.name}")
            seen.add(server.name)
        self.check_options(place)
        check_seconds(self, ("deadline_s",), place)
        if self.hedge_after_s:
            check_seconds(self, ("hedge_after_s",), place)
        if not 0 <= self.hedge_percentile <= 100:
            raise ConfigError(f"{place}.hedge_percentile", f"{self.hedge_percentile} is not from 0 to 100")
        if self.placement is not None and self.distribution != "murmur3":
            raise ConfigError(
                f"{place}.distribution", "placement already places the keys; remove one of the two"
            )

    def __repr__(self) -> str:
        # In the order of the arguments: inherited options would come before the name.
        shown = sorted((f for f in fields(self) if f.repr), key=lambda f: bool(f.kw_only))
        return f"Pool({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in shown)})"

    @classmethod
    def of(
        cls,
        name: str,
        addresses: Addresses,
        distribution: str = "murmur3",
        *,
        connect_timeout_s: float = 0.5,
        reply_timeout_s: float = 0.5,
        deadline_s: float = 1.0,
        hedge_after_s: float = 0.0,
        hedge_percentile: float = 95.0,
        trip_after: int = 3,
        links: int = 1,
        value_max: int = 0,
        identity: str = "same",
        placement: Like | None = None,
    ) -> Pool:
        """A pool from one address or several, as `Server.of` reads them; the options are the pool's."""
        servers = tuple(
            Server.of(address, place=f"pools.{name}.servers[{i}]")
            for i, address in enumerate(_several(addresses))
        )
        return cls(
            name,
            servers,
            distribution,
            connect_timeout_s=connect_timeout_s,
            reply_timeout_s=reply_timeout_s,
            deadline_s=deadline_s,
            hedge_after_s=hedge_after_s,
            hedge_percentile=hedge_percentile,
            trip_after=trip_after,
            links=links,
            value_max=value_max,
            identity=identity,
            placement=placement,
        )

    def ring(self) -> Ring:
        """The ring of this pool's servers, built at the first call; pools with the same placement share it.

        Raises ConfigError for an unknown distribution or placement, one that does not suit these servers,
        and for a weight that gives its server no point of a distribution of mcroute's own.
        """
        if self._ring is None:
            alike = self._alike()
            ring = _RINGS.get(alike)
            if ring is None:
                self._check_weights()
                ring = self._build_ring() if self.placement is None else self._inherit_ring(self.placement)
                _RINGS[alike] = ring
            object.__setattr__(self, "_ring", ring)
        assert self._ring is not None
        return self._ring

    def _check_weights(self) -> None:
        """ketama rounds shares down: with a small weight, a server would get no key, and no copy of one."""
        if self.placement is not None or self.distribution != "ketama":
            return
        weights = [server.weight for server in self.servers]
        for i, groups in enumerate(ketama_groups(weights, {})):
            if groups == 0:
                small = f"weight {weights[i]} of {sum(weights)} is too small"
                raise ConfigError(
                    f"pools.{self.name}.servers[{i}]",
                    f"{small}: ketama gives {self.servers[i].name} no point, and so no key; "
                    f"the least weight that works is {_least_weight(weights, i)}",
                )

    def reach(self) -> int:
        """The number of servers that can hold a key: its owner, and the candidates for its copies.

        Smaller than the pool if the placement gives some servers no share, or has no candidates beside
        the owner. Raises ConfigError as `ring`.
        """
        if self.placement is None and self.distribution != "ketama":
            return len(self.servers)
        ring = self.ring()
        if ring.inherited is not None and ring.inherited.placement.walk:
            # The other system's way to a stand-in is not the next candidate, and may end without a server.
            return 1
        return len(ring.candidates(b""))

    def _alike(self) -> tuple[object, ...]:
        """All inputs of the ring."""
        if self.placement is not None:
            return self.placement, self.servers
        return self.distribution, tuple((server.name, server.weight) for server in self.servers)

    def _build_ring(self) -> Ring:
        # Imported late: policies can be written, checked and tested without compiled modules.
        from .._ring import Ring  # noqa: PLC0415

        names = [server.name for server in self.servers]
        try:
            return Ring(names, distribution=self.distribution, weights=[s.weight for s in self.servers])
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"pools.{self.name}.distribution", str(error)) from error

    def _inherit_ring(self, like: Like) -> Ring:
        from .._ring import Ring  # noqa: PLC0415

        place = f"pools.{self.name}"
        try:
            options = {"keys": "wire", **like.options}
            ring = Ring.like(like.system, [_address_of(s) for s in self.servers], **options)
        except ConfigError as error:
            inner = error.place if error.place.startswith("servers") else f"placement.{error.place}"
            raise ConfigError(f"{place}.{inner}", error.message) from None
        except ValueError as error:
            raise ConfigError(f"{place}.placement", str(error)) from error
        if ring.inherited is not None and ring.inherited.recomputes:
            raise ConfigError(
                f"{place}.placement.out", 'a proxy does not recompute points: write out = "skip"'
            )
        return ring


def _least_weight(weights: Sequence[int], index: int) -> int:
    """The least weight at this index with which ketama gives the server a point, by bisection."""
    too_small, enough = weights[index], sum(weights)
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if ketama_groups([*weights[:index], middle, *weights[index + 1 :]], {})[index]:
            enough = middle
        else:
            too_small = middle
    return enough


def _address_of(server: Server) -> Address:
    """The address for a placement; a server's default name, its address, is no name."""
    address = Address(server.path or server.host, 0 if server.path else server.port, server.weight)
    return address if server.name == str(address) else replace(address, name=server.name)
