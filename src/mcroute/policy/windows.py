"""The counters of one server, divided into windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .outlier_settings import OutlierSettings

__all__ = ("Counts", "Window", "Windows")

# Looks come at the interval of a timer, whose times are rounded.
SLACK_S = 0.001


class Counts(NamedTuple):
    """The engines' counters of one server, which only grow.

    `errors` are requests that were lost or timed out, `lost` those that were lost with their connection.
    `replies` are counted by the bucket of their duration. `hits` and `misses` are those of reads.
    """

    errors: int = 0
    lost: int = 0
    replies: Mapping[int, int] = {}
    hits: int = 0
    misses: int = 0

    @property
    def answered(self) -> int:
        """The number of replies."""
        return sum(self.replies.values())


class Window(NamedTuple):
    """One window: its end, its replies, their lower quartile in seconds (0 without any), and its errors."""

    ended_at: float
    replies: int
    quartile_s: float
    errors: int

    @property
    def error_share(self) -> float:
        return self.errors / (self.errors + self.replies)


@dataclass(slots=True)
class Windows:
    """The windows of one server in service. `bounds` are the upper bounds of the buckets, in seconds."""

    bounds: Sequence[float]
    begun_at: float
    start: Counts
    last: Window | None = None
    best_s: float | None = None  # the least quartile of all windows before the last one
    losses: deque[float] = field(default_factory=deque)  # the times at which requests were lost
    lost: int = 0  # at the last look
    slow: list[Window] = field(default_factory=list)  # the bad windows in a row
    failing: list[Window] = field(default_factory=list)
    answered: int = field(init=False)  # before the present window

    def __post_init__(self) -> None:
        self.answered = self.start.answered

    def restart(self, counts: Counts, now: float) -> None:
        """Begins anew: what came before does not count, except for the best quartile."""
        if self.last is not None and self.last.replies:
            self._keep_best(self.last)
        self._begin(counts, now)
        self.last, self.lost = None, counts.lost
        self.losses.clear()
        self.slow.clear()
        self.failing.clear()

    def look(self, counts: Counts, now: float, settings: OutlierSettings) -> Window | None:
        """Takes the present counters. Returns the window that ends now, if one does."""
        if counts.lost > self.lost:
            self.losses.append(now)
        self.lost = counts.lost
        while self.losses and self.losses[0] < now - settings.losses_s:
            self.losses.popleft()
        age = now - self.begun_at
        if age < settings.window_s - SLACK_S:
            return None
        start = self.start
        count, errors = counts.answered - self.answered, counts.errors - start.errors
        is_enough = count + errors >= settings.window_requests
        if is_enough or age >= settings.window_longest_s:
            self._begin(counts, now)
        if not is_enough:
            return None
        if self.last is not None and self.last.replies:
            self._keep_best(self.last)
        replies = _difference(counts.replies, start.replies)
        self.last = Window(now, count, _quartile(replies, count, self.bounds), errors)
        return self.last

    def _begin(self, counts: Counts, now: float) -> None:
        self.begun_at, self.start, self.answered = now, counts, counts.answered

    def _keep_best(self, window: Window) -> None:
        self.best_s = window.quartile_s if self.best_s is None else min(self.best_s, window.quartile_s)


def _difference(counts: Mapping[int, int], before: Mapping[int, int]) -> dict[int, int]:
    return {bucket: more for bucket, count in counts.items() if (more := count - before.get(bucket, 0)) > 0}


def _quartile(replies: Mapping[int, int], count: int, bounds: Sequence[float]) -> float:
    """The middle of the bucket that has the lower quartile."""
    left = count / 4
    for bucket in sorted(replies):
        left -= replies[bucket]
        if left <= 0:
            below = bounds[bucket - 1] if bucket else 0.0
            return below if bucket == len(bounds) - 1 else (below + bounds[bucket]) / 2
    return 0.0
