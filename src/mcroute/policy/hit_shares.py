"""Servers whose share of hits has fallen, while that of the others of their pool has not.

Such a server may have lost its items without a restart: another application's `flush_all`, or no memory for
what is stored. It answers well, so it stays in service; to eject it would help nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .windows import Counts

__all__ = ("HitShares", "HitsFell")

WINDOW_S = 1.0
# A share of fewer reads is chance.
READS_MIN = 50
# A window with fewer reads ends without a result after this time, and counts for its peers for as long.
LONGEST_S = 30.0
# A share that is below this part of the usual one, and of the others', has fallen.
FALLEN = 0.5
# A cache with fewer hits loses little.
USUAL_MIN = 0.2
WEIGHT = 0.2  # of the last window, in the usual share


@dataclass(frozen=True, slots=True)
class HitsFell:
    """The share of hits of a server: in a window of so many reads, of its peers, and before."""

    server: int
    share: float
    reads: int
    others: float
    before: float

    def __str__(self) -> str:
        return (
            f"{self.share:.0%} of {self.reads} reads, the others' {self.others:.0%}, before {self.before:.0%}"
        )


class _Window(NamedTuple):
    ended_at: float
    share: float
    reads: int


class HitShares:
    """Watches the engines' counters. Servers are ids."""

    def __init__(self) -> None:
        self._begun: dict[int, tuple[float, Counts]] = {}
        self._last: dict[int, _Window] = {}
        self._usual: dict[int, float] = {}

    def reset(self, server: int) -> None:
        """Earlier hits do not count: the id is another server's from now on, or it is out of service."""
        for known in (self._begun, self._last, self._usual):
            known.pop(server, None)

    def look(
        self,
        counts: Mapping[int, Counts],
        pools: Iterable[Collection[int]],
        serving: Collection[int],
        now: float,
    ) -> list[HitsFell]:
        """The `serving` servers whose shares have fallen, once for each fall. `pools` are their members."""
        for server in self._begun.keys() - serving:
            self.reset(server)
        ended = {server for server in counts if server in serving and self._ends(server, counts[server], now)}
        if not ended:
            return []
        peers: dict[int, set[int]] = {server: set() for server in ended}
        for members in pools:
            for server in ended.intersection(members):
                peers[server].update(members)
        fell = [found for server in sorted(ended) if (found := self._judge(server, peers[server], now))]
        for server in ended:
            share = self._last[server].share
            usual = self._usual.get(server, share)
            # After a fall the low share is the usual one: it is reported once.
            is_fallen = any(found.server == server for found in fell)
            self._usual[server] = share if is_fallen else usual + WEIGHT * (share - usual)
        return fell

    def _ends(self, server: int, own: Counts, now: float) -> bool:
        """Whether a window of the server ends now."""
        begun_at, start = self._begun.setdefault(server, (now, own))
        hits, misses = own.hits - start.hits, own.misses - start.misses
        is_enough = hits + misses >= READS_MIN
        if now - begun_at < WINDOW_S or (not is_enough and now - begun_at < LONGEST_S):
            return False
        self._begun[server] = (now, own)
        if is_enough:
            self._last[server] = _Window(now, hits / (hits + misses), hits + misses)
        return is_enough

    def _judge(self, server: int, members: Collection[int], now: float) -> HitsFell | None:
        window, usual = self._last[server], self._usual.get(server, 0.0)
        known = [self._last[peer] for peer in members if peer != server and peer in self._last]
        shares = sorted(peer.share for peer in known if peer.ended_at >= now - LONGEST_S)
        if not shares or usual < USUAL_MIN:
            return None
        others = shares[(len(shares) - 1) // 2]
        if window.share >= FALLEN * min(usual, others):
            return None
        return HitsFell(server, window.share, window.reads, others, usual)
