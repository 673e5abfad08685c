"""Shares of keys per server, and the share of keys that a change moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..._ring import Ring

__all__ = ("Diff", "Spread", "bar", "diff_rings", "generated_keys", "spread_ring")

BAR_WIDTH = 40
BLOCKS = " ▏▎▍▌▋▊▉█"


def generated_keys(count: int) -> list[bytes]:
    return [b"key:%d" % i for i in range(count)]


@dataclass(frozen=True)
class Spread:
    """Shares from 0 to 1 by server: of keys, of points (None without points), and by weight."""

    servers: Sequence[str]
    keys: list[float]
    points: list[float] | None
    weights: list[float]

    @property
    def worst(self) -> float:
        """The largest ratio of a server's share of keys to the share that its weight gives."""
        return max(share / due for share, due in zip(self.keys, self.weights, strict=True) if due)


def spread_ring(ring: Ring, keys: Sequence[bytes]) -> Spread:
    counts = Counter(ring.route_many(keys))
    weights = list(ring.weights) or [1.0] * len(ring)
    total = sum(weights)
    return Spread(
        ring.servers,
        [counts[i] / len(keys) for i in range(len(ring))],
        ring.shares(),
        [weight / total for weight in weights],
    )


@dataclass(frozen=True)
class Diff:
    """Moves of keys between servers, as shares of all keys; a server is identified by its name."""

    moves: dict[tuple[str, str], float]

    @property
    def moved(self) -> float:
        return sum(self.moves.values())

    def sorted(self) -> list[tuple[tuple[str, str], float]]:
        return sorted(self.moves.items(), key=lambda move: (-move[1], move[0]))


def diff_rings(old: Ring, new: Ring, keys: Sequence[bytes]) -> Diff:
    pairs = zip(old.route_many(keys), new.route_many(keys), strict=True)
    named = Counter((old.servers[was], new.servers[will]) for was, will in pairs)
    return Diff({(was, will): count / len(keys) for (was, will), count in named.items() if was != will})


def bar(share: float, of: float) -> str:
    """A bar; `of` is the share of a full bar."""
    eighths = round(share / of * BAR_WIDTH * 8) if of else 0
    whole, rest = divmod(eighths, 8)
    return (BLOCKS[8] * whole + BLOCKS[rest]).rstrip()


def spread_lines(spread: Spread) -> Iterator[str]:
    width = max(len(name) for name in spread.servers)
    top = max(max(spread.keys), max(spread.points or [0]))
    for i, name in enumerate(spread.servers):
        points = f"  points {spread.points[i]:6.1%}" if spread.points else ""
        yield f"{name:{width}}  keys {spread.keys[i]:6.1%}{points}  {bar(spread.keys[i], top)}"
    yield f"the fullest server has {spread.worst:.2f} times the share that its weight gives"


def diff_lines(diff: Diff, most: int = 20) -> Iterator[str]:
    yield f"{diff.moved:.1%} of the keys move"
    moves = diff.sorted()
    if not moves:
        return
    was_width = max(len(was) for (was, _), _ in moves)
    will_width = max(len(will) for (_, will), _ in moves)
    for (was, will), share in moves[:most]:
        yield f"{was:{was_width}} -> {will:{will_width}}  {share:6.2%}  {bar(share, moves[0][1])}"
    if len(moves) > most:
        rest = sum(share for _, share in moves[most:])
        yield f"... and {len(moves) - most} more, {rest:.2%} together"
