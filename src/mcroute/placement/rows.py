"""The columns of the table of systems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .addresses import Address, Reader, plain
from .counts import Count
from .names import Naming
from .parts import KeyRule

__all__ = ("Asked", "Choice", "Layout", "Option", "Order", "System", "by_host", "by_length", "given_order")

# From names and addresses to the servers' indices, in the order in which they are laid out.
Order = Callable[[list[str], list[Address]], list[int]]


def given_order(names: list[str], addresses: list[Address]) -> list[int]:
    return list(range(len(names)))


def by_length(names: list[str], addresses: list[Address]) -> list[int]:
    """Shorter names first, then by bytes."""
    return sorted(range(len(names)), key=lambda i: (len(names[i].encode()), names[i].encode()))


def by_host(names: list[str], addresses: list[Address]) -> list[int]:
    return sorted(range(len(names)), key=lambda i: (addresses[i].host.encode(), addresses[i].port))


@dataclass(frozen=True)
class Option:
    """An option of the system's own configuration, with the system's default.

    `maps_text`: the value is a mapping from text to text.
    """

    name: str
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    maps_text: bool = False


@dataclass(frozen=True)
class Layout:
    """The layout of servers and the way to an owner: the parts of `Placement`, by rule instead of by value.

    `point_hash` "" stands for the hash of the keys. The server laid first, or last, owns equal points.
    """

    find: str
    named: Naming | None = None
    groups: Count | None = None
    point_hash: str = ""
    words: int = 1
    above: bool = False
    last_wins: bool = False
    order: Order = given_order


@dataclass(frozen=True)
class Asked:
    """The question to a system: servers, weights and a value for every option."""

    addresses: tuple[Address, ...]
    size: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """A system's answer to its options.

    `hash` is a name of `_hashing.named`, `layout` a word of the row's layouts; `point_hash` and `order`
    override the layout's. `out` is the behaviour when a server is out: "skip", "recompute", or a walk of
    `_distributions.rehash`. `prefix` is the client's prefix of keys on the wire, hashed or not.
    """

    layout: str
    hash: str
    key: KeyRule = field(default_factory=KeyRule)
    seed: int = 0
    text_max: int = 2**63
    point_hash: str = ""
    order: Order | None = None
    out: str = "fail"
    prefix: bytes = b""
    hashes_prefix: bool = False
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class System:
    """A client or proxy. The rules were checked against `version`.

    `outs` lists every possible `Choice.out`, over all options.
    """

    name: str
    version: str
    options: tuple[Option, ...]
    layouts: Mapping[str, Layout]
    settle: Callable[[Asked], Choice]
    outs: tuple[str, ...]
    hashes: Mapping[str, str] = field(default_factory=dict)
    reader: Reader = plain
    # Reasons to refuse a list of servers.
    refuses: tuple[Callable[[Asked], str], ...] = ()
    # Whether a number may replace the list of servers.
    counts: bool = False
