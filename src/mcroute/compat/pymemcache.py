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

    With `RingHasher.like(system, **options)` instead, as another client or proxy places them. A node that is
    removed, as HashClient does with dead ones, is passed over and keeps its place in the ring: its keys go on
    to their next candidates, and come back with it.
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
        """What to give as `hasher`: its hashers place keys as `Ring.like(system, ..., **options)` does.

        What the system refuses is refused, with ConfigError, when the first key is placed. HashClient's own
        hint for a hasher is the class of its default: nothing else would pass type checkers.
        """
        return lambda: cls(build=lambda servers: Ring.like(system, servers, **options))

    def add_node(self, node: str) -> None:
        """Adds a node, `host:port` or the path of a socket, or takes it back."""
        if node in self.nodes:
            self._out.discard(self.nodes.index(node))
            return
        self.nodes.append(node)
        self._ring = None

    def remove_node(self, node: str) -> None:
        """Passes a node over from now on. Raises ValueError when it is not there."""
        if node not in self.nodes or self.nodes.index(node) in self._out:
            raise ValueError(f"no such node to remove: {node}")
        self._out.add(self.nodes.index(node))

    def get_node(self, key: str | bytes) -> str | None:
        """The node of a key; None when there is none left."""
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
