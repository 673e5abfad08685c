"""The servers that stand in for others, by the plan."""

from __future__ import annotations

from collections.abc import Iterable

from .nodes import All, Ask, CappedAsk, First, Gutter, Plan, Then

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
    """The pools, by name, that are only asked where others may answer in their place."""
    joints = [index for index in plan.nodes_of_keys() if _is_joint(plan, index)]
    return _pools_below(plan, joints) - _pools_below(plan, [plan.root], frozenset(joints))


def _is_joint(plan: Plan, index: int) -> bool:
    """Whether the node joins several pools, and answers without one of them: `Warm`, a majority, a gutter.

    Not a failover without a gutter: the values that its later children keep are never deleted there.
    """
    node = plan.nodes[index]
    if isinstance(node, All):
        joins = node.least < len(node.children)
    else:
        joins = isinstance(node, Gutter | Then) or (isinstance(node, First) and node.refills)
    return joins and len(_pools_below(plan, [index])) > 1


def _pools_below(plan: Plan, starts: Iterable[int], without: frozenset[int] = frozenset()) -> frozenset[str]:
    """The pools that requests for a key may reach from these nodes, without those below `without`."""
    nodes = (plan.nodes[index] for index in plan.nodes_of_keys(starts=starts, without=without))
    return frozenset(plan.pools[node.pool].name for node in nodes if isinstance(node, Ask))
