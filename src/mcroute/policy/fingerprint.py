"""A hash of a plan's behaviour, to compare proxies by."""

from __future__ import annotations

from dataclasses import fields

from .nodes import Node, Plan, Python

__all__ = ("fingerprint",)


def fingerprint(plan: Plan) -> str:
    """16 hexadecimal digits: the same on every machine for the same pools, servers, timeouts and routes.

    A custom route counts by its class and its children only.
    """
    # Imported late: hashlib loads OpenSSL's algorithms, which nothing else in a proxy needs.
    import hashlib  # noqa: PLC0415

    parts = [(f.name, getattr(plan, f.name)) for f in fields(plan) if f.compare and f.name != "nodes"]
    described = repr([*map(_described, plan.nodes), *((n, _ordered(value)) for n, value in parts)])
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _described(node: Node) -> object:
    if not isinstance(node, Python):
        return node
    kind = type(node.route)
    return (kind.__module__, kind.__qualname__, node.children)


def _ordered(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value
