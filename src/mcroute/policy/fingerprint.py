"""A short name for what a plan does, by which proxies can be compared."""

from __future__ import annotations

from dataclasses import fields

from .nodes import Node, Plan, Python

__all__ = ("fingerprint",)


def fingerprint(plan: Plan) -> str:
    """16 hexadecimal digits: the same on every machine for the same pools, servers, times and routes.

    Of a route in Python only its class and its children count.
    """
    # Imported late: it loads OpenSSL's algorithms, which nothing else in a proxy needs.
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
