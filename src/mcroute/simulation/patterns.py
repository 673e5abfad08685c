"""The patterns of random scenarios: which faults befall the servers, and what clients ask for meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from .faults import FAULTS, Fault

__all__ = ("PATTERNS", "Mix", "Pattern")


class Mix(NamedTuple):
    """Commands on values by how often they come; the share of those on counters, and which ones these are."""

    kinds: dict[str, int]
    counters_share: float
    counter_kinds: tuple[str, ...]


class Pattern(NamedTuple):
    """`draw` is given the number of faults, the servers, the proxies, and the time of the run in seconds."""

    mix: Mix
    draw: Callable[[Random, int, Sequence[str], Sequence[str], float], list[Fault]]


def _any_faults(
    rng: Random, count: int, servers: Sequence[str], proxies: Sequence[str], span_s: float
) -> list[Fault]:
    faults = []
    kinds = [
        name for name, kind in FAULTS.items() if name != "power-router" and (proxies or not kind.of_routers)
    ]
    for _ in range(count):
        name = rng.choice(kinds)
        kind = FAULTS[name]
        target = rng.choice(proxies if kind.of_routers else servers)
        at_s = rng.uniform(0, 0.8 * span_s)
        for_s = rng.choice((rng.uniform(0.05, 1), rng.uniform(1, 0.2 * span_s)))
        amount = float(rng.randrange(len(servers))) if name == "reload" else kind.amount
        faults.append(Fault(name, target, at_s, for_s, amount))
    return faults


# After these a server has its old items.
_OUTAGES = ("kill-warm", "stop", "partition", "cut-requests", "cut-replies", "accept-close")


def _outages(
    rng: Random, count: int, servers: Sequence[str], proxies: Sequence[str], span_s: float
) -> list[Fault]:
    """The first server fails again and again: what one outage leaves behind is met by the next one.

    Where others stand in for servers, they stand in for the first one.
    """
    return [
        Fault(
            rng.choice(_OUTAGES),
            servers[0],
            at_s=rng.uniform(0, 0.8 * span_s),
            for_s=rng.uniform(0.5, 0.1 * span_s),
            amount=0.0,
        )
        for _ in range(count)
    ]


# Seconds, a little more than the reply timeout of the layouts.
_STUTTERS = (0.31, 0.33, 0.36)


def _stutters(
    rng: Random, count: int, servers: Sequence[str], proxies: Sequence[str], span_s: float
) -> list[Fault]:
    """Servers stop for a little longer than the reply timeout: late replies meet requests that wait.

    Longer stops end with the ejection of the server, shorter ones without a timeout.
    """
    return [
        Fault(
            "flap-stop",
            rng.choice(servers),
            at_s=rng.uniform(0, 0.8 * span_s),
            for_s=rng.uniform(1, 0.2 * span_s),
            amount=rng.choice(_STUTTERS),
        )
        for _ in range(count)
    ]


_USUAL = Mix(
    {
        "get": 50, "get_many": 5, "gets": 3, "gat": 2, "set": 20, "add": 4, "replace": 2, "delete": 7,
        "cas": 4, "touch": 1,
    },
    0.05,
    ("incr", "incr", "add", "get", "delete"),
)  # fmt: skip
# The reply of a read has its key: nobody takes it for that of another read. Replies of these commands have
# none, and those of counters would show it.
_WITHOUT_KEYS = Mix(
    {"get": 25, "set": 20, "add": 20, "replace": 10, "delete": 10, "cas": 15},
    0.7,
    ("incr", "incr", "incr", "incr", "add", "get"),
)

PATTERNS: dict[str, Pattern] = {
    "any": Pattern(_USUAL, _any_faults),
    "outages": Pattern(_USUAL, _outages),
    "stutters": Pattern(_WITHOUT_KEYS, _stutters),
}
