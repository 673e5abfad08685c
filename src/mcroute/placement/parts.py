"""What a placement is made of: a ring is laid out in C from one `Placement`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

__all__ = ("KeyRule", "Laid", "Like", "Numbered", "Placement")

# (name as it is hashed, server, groups of points or slots)
Laid = tuple[bytes, int, int]


@dataclass(frozen=True)
class Like:
    """A system and its options, before there are servers: as a configuration has them."""

    system: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.system, repr(sorted(self.options.items()))))


@dataclass(frozen=True, slots=True)
class KeyRule:
    """Which part of a key is hashed, how it is spelled, what is added to it: see `_distributions.keys`.

    `strip` comes off the front before anything else; a `lead` that a key begins with stays before the prefix.
    """

    cut: str = "whole"
    form: str = "bytes"
    marks: bytes = b""
    strip: bytes = b""
    prefix: bytes = b""
    suffix: bytes = b""
    lead: bytes = b""


@dataclass(frozen=True, slots=True)
class Placement:
    """One settled way to place keys on `size` servers.

    `find` is how the owner is found: "points" on a circle (`laid` in the order in which equal ones are taken;
    the owner is the first point at, or `above`, the key's), "points_to_slots", "modulo", a hash that
    answers a server's number ("jump", "furc", "weighted_furc", "const_shard") or a rule of
    `_distributions.rendezvous`, over `labels`.
    `hash` and `seed` are the keys'; texts longer than `text_max` hash to 0. `point_hash` makes `words` points
    of 32 bits from each group. `walk` is the way to the next candidate, where it is not the way on.
    """

    size: int
    find: str
    laid: list[Laid] = field(default_factory=list)
    hash: str = "murmur3_32"
    seed: int = 0
    text_max: int = 2**63
    point_hash: str = ""
    words: int = 1
    above: bool = False
    labels: tuple[bytes, ...] = ()
    weights: tuple[float, ...] = ()
    walk: str = ""
    key: KeyRule = field(default_factory=KeyRule)


class Numbered(Sequence[str]):
    """The names of servers that are only counted: their numbers."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        numbers = range(self._count)[index]
        return str(numbers) if isinstance(numbers, int) else [str(i) for i in numbers]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbered) and other._count == self._count

    def __hash__(self) -> int:
        return hash(self._count)
