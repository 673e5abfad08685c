"""The servers that stand in for others, by the plan."""

from __future__ import annotations

from collections.abc import Iterable

from .nodes import Ask, CappedAsk, Gutter, Plan

__all__ = ("pools_with_standins", "standins")


def standins(plan: Plan) -> dict[str, int]:
    """The servers that stand in for others, by name: the longest lifetime of what they take, in seconds."""
    found: dict[str, int] = {}
    for node in plan.nodes:
        if isinstance(node, CappedAsk):
            for server in plan.pools[node.pool].servers:
                found[server.name] = max(node.ttl_max_s, found.get(server.name, 0))
    return found


def pools_with_standins(plan: Plan) -> frozenset[str]:
    """The pools, by name, that are asked only where another route stands in for them, or they for it."""
    gutters = [index for index, node in enumerate(plan.nodes) if isinstance(node, Gutter)]
    inside = _pools_below(plan, gutters, frozenset())
    return inside - _pools_below(plan, [plan.root], frozenset(gutters))


def _pools_below(plan: Plan, starts: Iterable[int], without: frozenset[int]) -> frozenset[str]:
    """The pools that requests for a key may reach from these nodes, without those below `without`."""
    nodes = (plan.nodes[index] for index in plan.nodes_of_keys(starts=starts, without=without))
    return frozenset(plan.pools[node.pool].name for node in nodes if isinstance(node, Ask))
