"""mcroute's own distributions.

murmur3     160 points per unit of weight; key hash murmur3 x86 32
ketama      as twemproxy 0.5.0 with its default key hash; servers have twemproxy's names
modula      as twemproxy 0.5.0 with its default key hash
jump        Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014
rendezvous  Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .counts import Count, by_weight, ketama_groups
from .parts import Laid, Placement

__all__ = ("DISTRIBUTIONS", "own_placement")

SERVERS_MAX = 65536
POINTS_MAX = 1 << 24


@dataclass(frozen=True)
class Row:
    """A distribution. Without `count` it does not support weights."""

    find: str
    hash: str
    count: Count | None = None
    point_hash: str = ""
    words: int = 1


_ROWS = {
    "murmur3": Row("points", "murmur3_32", by_weight(40), "murmur3_x64", 4),
    "ketama": Row("points", "fnv1a_64_signed_low", ketama_groups, "md5", 4),
    "modula": Row("modulo", "fnv1a_64_signed_low", by_weight()),
    "jump": Row("jump", "murmur3_x64_low"),
    "rendezvous": Row("mixed", "murmur3_x64_low"),
}
DISTRIBUTIONS = tuple(_ROWS)


def own_placement(
    servers: Iterable[str], distribution: str, weights: Iterable[int] | None
) -> tuple[Placement, tuple[str, ...], tuple[int, ...]]:
    """The placement, the names and the weights. Raises ValueError or TypeError with the place."""
    if distribution not in _ROWS:
        raise ValueError(f"distribution: {distribution!r} is none of {', '.join(DISTRIBUTIONS)}")
    row = _ROWS[distribution]
    names = _checked_names(servers)
    shares = _checked_weights(weights, names, distribution)
    labels = tuple(name.encode() for name in names)
    placement = Placement(
        size=len(names),
        find=row.find,
        laid=_laid(labels, row.count(shares, {})) if row.count else [],
        hash=row.hash,
        point_hash=row.point_hash,
        words=row.words,
        labels=labels,
    )
    return placement, names, shares


def _laid(labels: Sequence[bytes], groups: Sequence[int]) -> list[Laid]:
    """Laid in the order of (length, bytes) of the names, so that the order of the list does not matter."""
    ranked = sorted(range(len(labels)), key=lambda i: (len(labels[i]), labels[i]))
    return [(labels[i], i, groups[i]) for i in ranked]


def _checked_names(servers: Iterable[str]) -> tuple[str, ...]:
    if isinstance(servers, (str, bytes)):
        raise TypeError("servers: expected a sequence of names, not one string")
    names = tuple(servers)
    if not 1 <= len(names) <= SERVERS_MAX:
        raise ValueError(f"servers: expected 1 to {SERVERS_MAX} names, got {len(names)}")
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"servers[{i}]: expected a str, got {type(name).__name__}")
        if not name:
            raise ValueError(f"servers[{i}]: empty name")
        if first.setdefault(name, i) != i:
            raise ValueError(f"servers[{i}]: {name!r} is already servers[{first[name]}]")
    return names


def _checked_weights(
    weights: Iterable[int] | None, names: tuple[str, ...], distribution: str
) -> tuple[int, ...]:
    if weights is None:
        return (1,) * len(names)
    weights = tuple(weights)
    if len(weights) != len(names):
        raise ValueError(f"weights: expected {len(names)} weights, one per server, got {len(weights)}")
    for i, weight in enumerate(weights):
        if not isinstance(weight, int):
            raise TypeError(f"weights[{i}]: expected an int, got {type(weight).__name__}")
        if weight < 1:
            raise ValueError(f"weights[{i}]: {weight} is not positive")
        if weight != 1 and _ROWS[distribution].count is None:
            raise ValueError(f"weights[{i}]: {distribution} does not support weights, got {weight}")
    cells = {"murmur3": 160, "modula": 1}.get(distribution, 0)
    if sum(weights) * cells > POINTS_MAX or sum(weights) >= 1 << 31:
        raise ValueError(f"weights: their sum, {sum(weights)}, is too large for {distribution}")
    return weights
