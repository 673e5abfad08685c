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

# Names and addresses in, the servers' indices in the order in which they are laid out.
Order = Callable[[list[str], list[Address]], list[int]]


def given_order(names: list[str], addresses: list[Address]) -> list[int]:
    return list(range(len(names)))


def by_length(names: list[str], addresses: list[Address]) -> list[int]:
    """Shorter names first, then by their bytes."""
    return sorted(range(len(names)), key=lambda i: (len(names[i].encode()), names[i].encode()))


def by_host(names: list[str], addresses: list[Address]) -> list[int]:
    return sorted(range(len(names)), key=lambda i: (addresses[i].host.encode(), addresses[i].port))


@dataclass(frozen=True)
class Option:
    """A word of the system's own configuration, and its own default."""

    name: str
    default: Any
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How servers are laid out and found: the parts of `Placement`, by rule instead of by value.

    `point_hash` "" stands for the hash of the keys. Equal points are owned by the server laid first, or last.
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
    """What `like` was asked for: every option has a value."""

    addresses: tuple[Address, ...]
    size: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """What a system makes of its options.

    `hash` is the part's name, `layout` a word of the row's layouts; `point_hash` and `order` overrule that.
    `out` is what follows when a server is out: "skip", "recompute", or a walk of `_distributions.rehash`.
    `prefix` is what the client puts before keys on the wire; it may or may not hash it.
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
    """A client or proxy. `version` is the one that the rules were checked against.

    `outs` is all that may follow when a server is out, by `Choice.out`, for the options there are.
    """

    name: str
    version: str
    options: tuple[Option, ...]
    layouts: Mapping[str, Layout]
    settle: Callable[[Asked], Choice]
    outs: tuple[str, ...]
    hashes: Mapping[str, str] = field(default_factory=dict)
    reader: Reader = plain
    # Reasons for which a list of servers is refused.
    refuses: tuple[Callable[[Asked], str], ...] = ()
    # Only the number of servers matters, so that it may be given instead.
    counts: bool = False
