"""Which servers hold the same keys: the owners of a key in the pools with copies, by a plan."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from .nodes import Ask, CappedAsk, Plan, SwitchPrefix

if TYPE_CHECKING:
    from .._ring import Ring

__all__ = ("Copies",)


class Copies:
    """The pools of a plan in which keys have copies. The rings of these pools need compiled modules."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._counts = _counts(plan, plan.nodes_of_keys())
        self._has_prefixes = any(isinstance(node, SwitchPrefix) for node in plan.nodes)

    def twins(self, server: str) -> tuple[str, ...]:
        """The other servers of the pools in which this one has copies."""
        pools = [[member.name for member in self._plan.pools[index].servers] for index in self._counts]
        names = [name for pool in pools if server in pool for name in pool if name != server]
        return tuple(dict.fromkeys(names))

    def between(self, first: str, second: str) -> Callable[[bytes], bool]:
        """Returns a function that tells whether both servers own a copy of a key, in one pool.

        The key is as requests spell it.
        """
        rings = self._rings_with(first, second)

        def own(key: bytes, pools: Container[int]) -> bool:
            for pool, ring, count, both in rings:
                if pool in pools and both.issubset(ring.owners(key, count)):
                    return True
            return False

        if not self._has_prefixes:
            return lambda key: own(key, self._counts)
        return lambda key: own(key, _counts(self._plan, self._plan.nodes_of_keys(key)))

    def _rings_with(self, first: str, second: str) -> list[tuple[int, Ring, int, frozenset[int]]]:
        """For each pool that has copies, and both servers: the number of copies, and their indices."""
        rings = []
        for index, count in self._counts.items():
            pool = self._plan.pools[index]
            both = frozenset(i for i, server in enumerate(pool.servers) if server.name in (first, second))
            if len(both) == 2:
                rings.append((index, pool.ring(), count, both))
        return rings


def _counts(plan: Plan, nodes: frozenset[int]) -> dict[int, int]:
    """The number of copies by the index of the pool, of those pools with copies that these nodes ask."""
    counts: dict[int, int] = {}
    for index in sorted(nodes):
        node = plan.nodes[index]
        # Only nodes of routes with copies tag CAS tokens. What a stand-in has must not be copied: the engine
        # would not know of it.
        if isinstance(node, Ask) and node.tags_cas and not isinstance(node, CappedAsk):
            counts[node.pool] = max(counts.get(node.pool, 0), node.rank + 1)
    return counts
