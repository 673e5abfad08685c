"""The hosts of all servers of plans, and the names of the network that lead to them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from ..errors import ConfigError
from ..policy import Server
from .hosts import Host
from .network import Network
from .servers import ServerOptions
from .transports import End

__all__ = ("NO_UNIX_SOCKETS", "Fleet", "is_address")

NO_UNIX_SOCKETS = "a simulation has no unix sockets; write host:port"


class Fleet:
    """One host for each endpoint of the servers; `hosts` are by the server's name."""

    def __init__(self, network: Network, options: ServerOptions) -> None:
        self.hosts: dict[str, Host] = {}
        self._network = network
        self._options = options
        self._names: dict[str, str] = {}  # the configured host name of a server
        self._moves = 0
        self._pids = 1000

    def add(self, servers: Iterable[Server]) -> None:
        """Starts the servers that have no host yet. Raises ConfigError for a unix socket."""
        for server in servers:
            if server.name not in self.hosts:
                self._add(server)

    def _add(self, server: Server) -> None:
        if not server.host:
            raise ConfigError(
                server.name, "a simulation has no unix sockets; give the server a host and port"
            )
        numeric = server.host
        if not is_address(server.host):
            self._names[server.name] = server.host
            known = self._network.names.get(server.host)
            numeric = known[0] if known else self._next_address()
            self._network.names[server.host] = (numeric,)
        self._put_host(server.name, (numeric, server.port))

    def _next_address(self) -> str:
        number = len(self.hosts)
        return f"10.0.{number // 250}.{number % 250 + 1}"

    def _put_host(self, name: str, end: End) -> None:
        same = next((host for host in self.hosts.values() if host.end == end), None)
        if same is not None:
            # Two names of one process: pools whose identity is "any" have such servers.
            self.hosts[name] = same
            return
        self._pids += 10
        before, host = self.hosts.get(name), Host(self._network, name, end, self._options, self._pids)
        if before is not None:
            host.replied, host.turns, host.accepts = before.replied, before.turns, before.accepts
        self.hosts[name] = host

    def name_of(self, server: str) -> str:
        """The host name of a server; empty if it is configured by an address."""
        return self._names.get(server, "")

    def move(self, server: str) -> None:
        """Ends all servers of the server's host name, and starts empty ones at another address of it."""
        name = self.name_of(server)
        moving = [other for other in self.hosts if name and self.name_of(other) == name] or [server]
        self._moves += 1
        numeric = f"10.3.{self._moves // 250}.{self._moves % 250 + 1}"
        for other in moving:
            self.hosts[other].kill()
        for other in moving:
            self._put_host(other, (numeric, self.hosts[other].end[1]))
        if name:
            self._network.names[name] = (numeric,)


def is_address(host: str) -> bool:
    """Whether a host is an address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
