"""The routes of random scenarios: each layout draws one, with pools of the servers that it is given.

A new kind of route is one more entry of `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from ..policy import (
    AllFastest,
    AllMajority,
    AllSync,
    ByCommand,
    ByPrefix,
    Failover,
    MissFailover,
    Pool,
    PoolRoute,
    Replicate,
    Route,
    Server,
    Warm,
)
from ..policy.routes import ReadMode, WriteMode

__all__ = ("DEADLINE_S", "LAYOUTS", "REPLY_TIMEOUT_S", "Layout", "layout_of")

# Deadline of a request, and a server's reply timeout, in seconds.
DEADLINE_S, REPLY_TIMEOUT_S, CONNECT_TIMEOUT_S = 1.0, 0.3, 0.2
WRITES: tuple[WriteMode, ...] = ("all", "all", "quorum", "first", "async", "backup", "backup")
READS: tuple[ReadMode, ...] = ("first", "first", "random")
HEDGES_S = (0.0, 0.0, 0.002, 0.02)
# Some of the keys `key-N`; the others have the default of a `ByPrefix`.
PREFIX = "key-1"

# The route of some of the servers. Raises ConfigError if they are too few.
Build = Callable[[Sequence[Server]], Route]


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of route. `draw` is given the servers, from `servers_min` to `servers_max` of them.

    What it draws makes the route of all servers, and of those that are left after a reload.
    `exempt` are the laws that this kind of route does not promise, `omits` the commands that it is not for.
    Operations are of one of the numbers of `keys`, and last one of the times `spans_s` in seconds. `patterns`
    are the weights of those that it meets.
    """

    draw: Callable[[Random, Sequence[Server]], Build]
    weight: int = 1
    servers_min: int = 2
    servers_max: int = 6
    omits: frozenset[str] = frozenset()
    exempt: frozenset[str] = frozenset()
    keys: tuple[int, ...] = (5, 30, 200)
    spans_s: tuple[float, ...] = (10.0, 30.0, 60.0)
    patterns: Mapping[str, int] = field(default_factory=lambda: {"any": 12, "outages": 3, "stutters": 5})


def layout_of(rng: Random) -> str:
    """The name of a random layout, by the weights."""
    [name] = rng.choices(list(LAYOUTS), [layout.weight for layout in LAYOUTS.values()])
    return name


def _pool(name: str, servers: Sequence[Server], hedge_after_s: float = 0.0) -> Pool:
    return Pool(
        name,
        tuple(servers),
        hedge_after_s=hedge_after_s,
        hedge_percentile=0,
        deadline_s=DEADLINE_S,
        reply_timeout_s=REPLY_TIMEOUT_S,
        connect_timeout_s=CONNECT_TIMEOUT_S,
    )


# ---- one pool ----


def _single(rng: Random, servers: Sequence[Server]) -> Build:
    return lambda left: PoolRoute(_pool("main", left))


def _copies(rng: Random, servers: Sequence[Server]) -> Build:
    copies = rng.choice((2, 2, 2, min(3, len(servers))))
    write, read = rng.choice(WRITES), rng.choice(READS)
    hedge_after_s = rng.choice(HEDGES_S)
    return lambda left: Replicate(_pool("main", left, hedge_after_s), copies, write, read)


# ---- several pools ----


def _parted(count: int, join: Callable[[list[Route]], Route]) -> Callable[[Random, Sequence[Server]], Build]:
    """Divides the servers into `count` pools. Those with two servers may have copies."""

    def draw(rng: Random, servers: Sequence[Server]) -> Build:
        parts = [servers[number::count] for number in range(count)]
        copies = [rng.choice((1, 2)) if len(part) > 1 else 1 for part in parts]

        def build(left: Sequence[Server]) -> Route:
            pools = (
                _pool(f"pool-{number + 1}", [server for server in part if server in left])
                for number, part in enumerate(parts)
            )
            return join([Replicate(pool, each) for pool, each in zip(pools, copies, strict=True)])

        return build

    return draw


def _warm(rng: Random, servers: Sequence[Server]) -> Build:
    cold, warm = servers[0::2], servers[1::2]
    return lambda left: Warm(
        _pool("cold", [server for server in cold if server in left]),
        _pool("warm", [server for server in warm if server in left]),
    )


def _gutter(rng: Random, servers: Sequence[Server]) -> Build:
    ttl_max_s = rng.choice((2, 5, 10))
    return _parted(2, lambda routes: Failover(routes, ttl_max_s))(rng, servers)


def _by_prefix(routes: list[Route]) -> Route:
    return ByPrefix({PREFIX: routes[0]}, routes[1])


def _fastest_reads(routes: list[Route]) -> Route:
    return ByCommand({"read": AllFastest(routes)}, default=AllSync(routes))


# A minority that declines one of these keeps its old value, and the majority does not wait for it.
CONDITIONAL = frozenset({"add", "replace", "cas"})
# A stand-in keeps what it took, and is read when the first route fails again or misses.
STANDS_IN = frozenset({"stale value"})

# Where another pool answers, a server that may hold old values does not, not even the last one of its pool.
MAY_BE_OUT = frozenset({"empty pool"})

LAYOUTS: dict[str, Layout] = {
    "single": Layout(_single, weight=4),
    "copies": Layout(_copies, weight=12),
    "prefixes": Layout(_parted(2, _by_prefix), weight=2),
    "all-sync": Layout(_parted(2, AllSync)),
    "all-majority": Layout(_parted(3, AllMajority), servers_min=3, omits=CONDITIONAL, exempt=MAY_BE_OUT),
    "all-fastest": Layout(_parted(2, _fastest_reads)),
    "failover": Layout(_parted(2, Failover), exempt=STANDS_IN),
    "gutter": Layout(_gutter, weight=3, exempt=MAY_BE_OUT),
    # Only the next outage shows what a stand-in has kept. At first it is not asked, until what it may have
    # from before has expired.
    "gutter-outages": Layout(
        _gutter,
        weight=5,
        servers_max=2,
        exempt=MAY_BE_OUT,
        keys=(5, 30),
        spans_s=(30.0,),
        patterns={"outages": 1},
    ),
    "miss-failover": Layout(_parted(2, MissFailover), exempt=STANDS_IN),
    "warm": Layout(_warm, weight=2, exempt=MAY_BE_OUT),
}
