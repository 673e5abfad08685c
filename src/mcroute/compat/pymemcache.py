"""A ring as the hasher of pymemcache's HashClient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._ring import Ring
from ..placement import Address

__all__ = ("RingHasher",)


def _own(servers: list[Address]) -> Ring:
    return Ring([str(server) for server in servers])


class RingHasher:
    """Places the keys of a HashClient by a ring: `HashClient(servers, hasher=RingHasher)`.

    `RingHasher.like(system, **options)` places keys as another client or proxy does. A removed node
    (HashClient removes dead ones) is skipped and keeps its place in the ring: its keys go to their next
    candidates, and return with the node.
    """

    def __init__(self, nodes: Iterable[str] = (), build: Callable[[list[Address]], Ring] = _own) -> None:
        self._build = build
        self._ring: Ring | None = None
        self._out: set[int] = set()
        self.nodes: list[str] = []
        for node in nodes:
            self.add_node(node)

    @classmethod
    def like(cls, system: str, **options: Any) -> Any:
        """A `hasher` argument; its hashers place keys as `Ring.like(system, ..., **options)` does.

        When the first key is placed, it raises ConfigError for anything that the system refuses. The return
        type is Any because HashClient declares its own default class: type checkers would accept nothing
        else.
        """
        return lambda: cls(build=lambda servers: Ring.like(system, servers, **options))

    def add_node(self, node: str) -> None:
        """Adds a node, `host:port` or the path of a socket, or restores a removed one."""
        if node in self.nodes:
            self._out.discard(self.nodes.index(node))
            return
        self.nodes.append(node)
        self._ring = None

    def remove_node(self, node: str) -> None:
        """Skips a node from now on. Raises ValueError if the node is unknown."""
        if node not in self.nodes or self.nodes.index(node) in self._out:
            raise ValueError(f"no such node to remove: {node}")
        self._out.add(self.nodes.index(node))

    def get_node(self, key: str | bytes) -> str | None:
        """The node of a key; None if every node was removed."""
        if len(self._out) == len(self.nodes):
            return None
        if self._ring is None:
            self._ring = self._build([_address(node) for node in self.nodes])
        try:
            return self.nodes[self._ring.owner(key, self._out or None)]
        except LookupError:
            return None


def _address(node: str) -> Address:
    if node.startswith("/"):
        return Address(node, 0)
    # HashClient writes v6 hosts without brackets.
    host, _, port = node.rpartition(":")
    return Address(host, int(port))
