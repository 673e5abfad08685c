"""Reasons for which systems refuse a list of servers; "" means no reason."""

from __future__ import annotations

from . import names
from .rows import Asked

__all__ = ("fractions", "missing_tags", "mixed_transports", "same_names")


def same_names(asked: Asked) -> str:
    found: set[str] = set()
    for address in asked.addresses:
        name = names.twemproxy(address, asked.options)
        if name in found:
            return f"two servers are named {name!r}: twemproxy refuses the pool"
        found.add(name)
    return ""


def fractions(asked: Asked) -> str:
    wrong = [
        address for address in asked.addresses if address.weight != int(address.weight) or address.weight < 0
    ]
    return f"{wrong[0]}: weights are whole numbers" if wrong else ""


def mixed_transports(asked: Asked) -> str:
    if len({address.is_socket for address in asked.addresses}) > 1:
        return "pylibmc does not mix TCP and unix servers"
    return ""


def missing_tags(asked: Asked) -> str:
    if not str(asked.options["hash_func"]).endswith("Rendezvous"):
        return ""
    tags = asked.options["tags"]
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags or ()):
        return f"tags: {tags!r} is not a list of names"
    if tags is not None and len(tags) != asked.size:
        return f"tags: expected {asked.size} tags, one per server, got {len(tags)}"
    if tags is None and (not asked.addresses or not all(address.name for address in asked.addresses)):
        return "mcrouter hashes the servers' tags, not their addresses: give tags, or names"
    return ""
