"""The parts of a placement. C code builds a ring from one `Placement`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

__all__ = ("KeyRule", "Laid", "Like", "Numbered", "Placement")

# (hashed name, server, groups of points or slots)
Laid = tuple[bytes, int, int]


@dataclass(frozen=True)
class Like:
    """A system and its options, without servers: the placement of a pool in a configuration."""

    system: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.system, repr(sorted(self.options.items()))))


@dataclass(frozen=True, slots=True)
class KeyRule:
    """The hashed part of a key, its spelling, and added text: see `_distributions.keys`.

    `strip` is removed from the front first; a `lead` at the front of a key stays before the prefix.
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

    `find` is the way to the owner: "points" on a circle (`laid` is in the order of precedence of equal
    points; the owner has the first point at, or `above`, the key's), "points_to_slots", "modulo", a hash that
    returns a server's number ("jump", "furc", "weighted_furc", "const_shard") or a rule of
    `_distributions.rendezvous`, over `labels`. `hash` and `seed` are for keys; texts longer than `text_max`
    hash to 0. `point_hash` makes `words` points of 32 bits from each group. `walk` is the way to the next
    candidate, if it is not the next point.
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
    """The names of counted servers: their numbers."""

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
