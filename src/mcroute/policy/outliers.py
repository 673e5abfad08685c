"""Servers that answer, and still serve badly: slower than their peers, failing, or losing connections.

Failures in a row do not find these: each good reply ends the row. The evidence is the engines' counters, the
measure is the other servers of the pool, so that a fault that befalls all of them ejects none.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .causes import Cause, Reason
from .outlier_settings import OutlierSettings
from .windows import Counts, Window, Windows

__all__ = ("Outlier", "Outliers")


@dataclass(frozen=True, slots=True)
class Outlier:
    """A server that ought to leave, why, and the turn that it must reach in order to return, if any."""

    server: int
    reason: Reason
    turn_max_s: float | None = None


class Outliers:
    """Judges servers by their counters. Servers are ids. `bounds` are those of the buckets of durations."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._windows: dict[int, Windows] = {}

    def reset(self, server: int) -> None:
        """The id is another server's from now on."""
        self._windows.pop(server, None)

    def look(
        self,
        counts: Mapping[int, Counts],
        pools: Iterable[Collection[int]],
        serving: Collection[int],
        now: float,
        settings: OutlierSettings,
    ) -> list[Outlier]:
        """The outliers among the `serving` servers, by the counters at the time `now`.

        `pools` are the members of each pool. A server that does not serve begins anew when it does.
        """
        ended = self._take(counts, serving, now, settings)
        outliers = {}
        for server in counts.keys() & serving:
            windows = self._windows[server]
            if len(windows.losses) >= settings.losses:
                outliers[server] = Outlier(server, _flapping(windows, settings))
        for server, peers in _with_peers(ended, pools):
            known = [w for peer in peers if (w := self._known(peer, serving, now, settings)) is not None]
            if known and server not in outliers:
                outlier = self._judge(server, known, settings)
                if outlier is not None:
                    outliers[server] = outlier
        for server in outliers:
            # Another verdict takes as much evidence again.
            self._windows[server].restart(counts[server], now)
        return [outliers[server] for server in sorted(outliers)]

    def _take(
        self, counts: Mapping[int, Counts], serving: Collection[int], now: float, settings: OutlierSettings
    ) -> list[int]:
        """Returns the servers of which a window ends."""
        ended = []
        for server, own in counts.items():
            windows = self._windows.get(server)
            if windows is None:
                self._windows[server] = Windows(self._bounds, now, own, lost=own.lost)
            elif server not in serving:
                windows.restart(own, now)
            elif windows.look(own, now, settings) is not None:
                ended.append(server)
        return ended

    def _known(
        self, server: int, serving: Collection[int], now: float, settings: OutlierSettings
    ) -> Window | None:
        windows = self._windows.get(server)
        if windows is None or windows.last is None or server not in serving:
            return None
        return windows.last if windows.last.ended_at >= now - settings.window_longest_s else None

    def _judge(self, server: int, peers: Sequence[Window], settings: OutlierSettings) -> Outlier | None:
        windows = self._windows[server]
        assert windows.last is not None
        others_s = _median_high([peer.quartile_s for peer in peers if peer.replies] or [math.inf])
        most_s = max(others_s * settings.latency_factor, others_s + settings.latency_floor_s)
        # A server that stands far away has always been slower than its peers.
        own_s = math.inf if windows.best_s is None else windows.best_s + settings.latency_floor_s
        most_s = max(most_s, own_s)
        is_slow = windows.last.quartile_s > most_s
        others_share = _median_high(peer.error_share for peer in peers)
        share = windows.last.error_share
        is_failing = share > settings.error_share and others_share < share / 2
        _count(windows.slow, windows.last, is_slow)
        _count(windows.failing, windows.last, is_failing)
        if len(windows.failing) >= settings.windows:
            return Outlier(server, _failing(windows.failing, others_share))
        if len(windows.slow) >= settings.windows:
            return Outlier(server, _slow(windows.slow, others_s), most_s)
        return None


def _count(row: list[Window], window: Window, is_bad: bool) -> None:
    if is_bad:
        row.append(window)
    else:
        row.clear()


def _with_peers(servers: Iterable[int], pools: Iterable[Collection[int]]) -> Iterable[tuple[int, set[int]]]:
    """Each server with the other members of its pools."""
    members = list(pools)
    for server in servers:
        peers = {peer for pool in members if server in pool for peer in pool} - {server}
        if peers:
            yield server, peers


# ---- reasons ----


def _slow(row: Sequence[Window], others_s: float) -> Reason:
    replies = sum(window.replies for window in row)
    text = f"p25 {_time(row[-1].quartile_s)} over {replies} replies, the others' {_time(others_s)}"
    return Reason(Cause.LATENCY, (text,))


def _failing(row: Sequence[Window], others_share: float) -> Reason:
    errors = sum(window.errors for window in row)
    requests = errors + sum(window.replies for window in row)
    text = f"{errors} of {requests} requests were lost or timed out, of the others' {others_share:.0%}"
    return Reason(Cause.ERRORS, (text,))


def _flapping(windows: Windows, settings: OutlierSettings) -> Reason:
    since_s = windows.losses[-1] - windows.losses[0]
    return Reason(Cause.FLAPPING, (f"{len(windows.losses)} times in {since_s:.1f} s",))


def _time(seconds: float) -> str:
    """A time with the unit that people would take."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.2g} ms"


def _median_high(values: Iterable[float]) -> float:
    """Of two middle ones, the larger. The module `statistics` would load a dozen others."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
