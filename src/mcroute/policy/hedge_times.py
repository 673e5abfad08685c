"""How long a read waits for a server before the next copy is asked too: a percentile of the replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .servers import Pool

__all__ = ("HedgeTimes", "HedgedPool")

# A percentile of fewer replies is chance.
REPLIES_MIN = 50
# A time that changes by less stays, so that nothing has to be told.
CHANGE_MIN = 0.1


class HedgedPool(NamedTuple):
    """A pool with `hedge_after_s`, and the ids of its servers."""

    pool: Pool
    members: Sequence[int]


class HedgeTimes:
    """Finds the times by the engines' counters. Servers are ids. `bounds` are those of the buckets."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._start: dict[int, Mapping[int, int]] = {}  # the counters when the present window began
        self._last: dict[int, Mapping[int, int]] = {}  # the replies in the last window
        self._times: dict[int, float] = {}

    def reset(self, server: int) -> None:
        """The id is another server's from now on."""
        for known in (self._start, self._last, self._times):
            known.pop(server, None)

    def look(self, replies: Mapping[int, Mapping[int, int]], pools: Iterable[HedgedPool]) -> dict[int, float]:
        """The servers whose times change, by the present counters of replies by bucket; 0: not hedged.

        A pool's time is the median of its servers' percentiles: a slow server does not raise its own time. A
        server of several pools has the least of their times. Without enough replies no read is hedged, unless
        the pool has a fixed time.
        """
        for server, own in replies.items():
            self._take(server, own)
        times = dict.fromkeys(self._times, 0.0)
        for pool, members in pools:
            time = self._time_of(pool, members)
            for server in members if time else ():
                times[server] = min(time, times.get(server) or time)
        changed = {server: time for server, time in times.items() if self._differs(server, time)}
        self._times.update(changed)
        return changed

    def _take(self, server: int, replies: Mapping[int, int]) -> None:
        before = self._start.setdefault(server, {})
        window = {bucket: more for bucket, n in replies.items() if (more := n - before.get(bucket, 0)) > 0}
        if sum(window.values()) >= REPLIES_MIN:
            self._start[server], self._last[server] = replies, window

    def _time_of(self, pool: Pool, members: Sequence[int]) -> float:
        if not pool.hedge_percentile:
            return pool.hedge_after_s
        known = [self._last[server] for server in members if server in self._last]
        if not known:
            return 0.0
        usual = sorted(_percentile(window, pool.hedge_percentile, self._bounds) for window in known)
        return min(max(pool.hedge_after_s, usual[(len(usual) - 1) // 2]), pool.reply_timeout_s)

    def _differs(self, server: int, time: float) -> bool:
        before = self._times.get(server, 0.0)
        return abs(time - before) > CHANGE_MIN * before


def _percentile(replies: Mapping[int, int], percentile: float, bounds: Sequence[float]) -> float:
    """The upper bound of the bucket that has the percentile."""
    left = sum(replies.values()) * percentile / 100
    for bucket in sorted(replies):
        left -= replies[bucket]
        if left <= 0:
            return bounds[bucket]
    return bounds[-1]
