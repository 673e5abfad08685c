"""When a flush is complete: the items that `flush_all` misses, and how often it must be sent.

Up to memcached 1.6.24 (with CAS) one `flush_all` leaves no item. Later versions compare whole seconds, and
an item has the time of its last LRU bump, which may be queued when the flush comes. So `flush_all` is
sent in each second of the server's clock until the LRU maintainer has processed the queue of before, and
then once more. ADR 0007 has the proof.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

__all__ = ("FlushSettings", "FlushStep", "Flushing", "ServerStats", "is_flushed_at_once")

# A pass that began before the first look, and the two halves of a bump buffer that wraps.
PASSES = 3
# In these versions flush_all compares CAS ids, which a bump does not change.
EXACT_FROM, EXACT_BEFORE = (1, 4, 23), (1, 6, 25)
NO_FILE = b"(null)"
NOTHING: Mapping[bytes, bytes] = MappingProxyType({})
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class ServerStats:
    """A server's `stats` and `stats settings` after a flush; None or empty where a row is missing."""

    version: str = ""
    pid: int | None = None
    uptime: int | None = None  # whole seconds, of the clock that flush_all uses
    items: int | None = None  # linked items, flushed or not
    passes: int | None = None  # of its LRU maintainer: `lru_maintainer_juggles`; None if it has none
    has_cas: bool = False
    keeps_items: bool = False  # over a restart: the option -e

    @classmethod
    def of(cls, stats: Mapping[bytes, bytes], settings: Mapping[bytes, bytes] = NOTHING) -> ServerStats:
        """From the rows of `stats` and `stats settings`, by name; a flush needs both."""
        return cls(
            version=stats.get(b"version", b"").decode("latin-1"),
            pid=_number(stats, b"pid"),
            uptime=_number(stats, b"uptime"),
            items=_number(stats, b"curr_items"),
            passes=_number(stats, b"lru_maintainer_juggles"),
            has_cas=settings.get(b"cas_enabled") == b"yes",
            keeps_items=settings.get(b"memory_file", NO_FILE) != NO_FILE,
        )

    @property
    def release(self) -> tuple[int, ...] | None:
        """The version as numbers; None if it is not a release."""
        match = VERSION.fullmatch(self.version)
        return None if match is None else tuple(map(int, match.groups()))


def _number(rows: Mapping[bytes, bytes], name: bytes) -> int | None:
    value = rows.get(name, b"")
    return int(value) if value.isdigit() else None


def is_flushed_at_once(stats: ServerStats) -> bool:
    """Whether one plain flush_all leaves no item that can ever be read."""
    release = stats.release
    is_exact = release is not None and EXACT_FROM <= release < EXACT_BEFORE and stats.has_cas
    return is_exact or stats.items == 0


@dataclass(frozen=True, slots=True)
class FlushSettings:
    """Times in seconds."""

    # Between two flushes of a return: several in each second of the server's clock.
    again_s: float = 0.25
    # A flush that is not complete by then has failed, and is tried again like any other stage.
    timeout_s: float = 30.0
    # For servers without an uptime in `stats`: longer than three passes of an idle LRU maintainer.
    blind_s: float = 5.0


class FlushStep(Enum):
    """The next step of a flush."""

    FLUSH = "flush"  # after a pause
    FLUSH_NOW = "flush now"  # the last one
    LOOK = "look"  # read `stats` after a pause
    DONE = "done"


class Flushing:
    """One server's flush. It takes the server's `stats` after each step, and returns the next step."""

    def __init__(self, settings: FlushSettings) -> None:
        self.step: FlushStep = FlushStep.FLUSH  # the next one
        self.delay_s: int = 0  # the argument of its flush_all
        self._settings = settings
        self._seen: ServerStats | None = None
        self._start: tuple[ServerStats, float] | None = None  # of the seconds that have a flush each
        self._last: tuple[ServerStats, float] | None = None  # after the last flush
        self._is_drained = False

    def answered(self, stats: ServerStats, now: float) -> FlushStep:
        """Takes the `stats` that the server sent after the last step. Returns the next step."""
        self.step = self._next(stats, now)
        return self.step

    def _next(self, stats: ServerStats, now: float) -> FlushStep:
        seen, self._seen = self._seen, stats
        if seen is None and is_flushed_at_once(stats):
            return FlushStep.DONE
        if seen is None or _is_broken(seen, stats):
            self._start, self._last, self._is_drained = (stats, now), None, False
            # From 1.6.25 on, an argument of 1 also flushes items with the time of this second.
            self.delay_s = 0 if stats.release is not None and stats.release < EXACT_BEFORE else 1
            return FlushStep.FLUSH
        if self._last is not None:
            return FlushStep.DONE if self._is_over(stats, now) else FlushStep.LOOK
        if self._is_drained:
            self._last = (stats, now)
            return FlushStep.LOOK
        self._is_drained = self._has_drained(stats, now)
        return FlushStep.FLUSH_NOW if self._is_drained else FlushStep.FLUSH

    def _has_drained(self, stats: ServerStats, now: float) -> bool:
        """Whether all bumps queued before the flushes began are processed."""
        assert self._start is not None
        before, since = self._start
        if stats.uptime is None:
            return now - since >= self._settings.blind_s
        if stats.passes is None or before.passes is None:
            return True
        return stats.passes >= before.passes + PASSES

    def _is_over(self, stats: ServerStats, now: float) -> bool:
        """Whether items stored from now on stay: the last flush covers the second in which it was sent."""
        assert self._last is not None
        flushed, since = self._last
        # Other servers than memcached may take the argument as a delay, as memcached's documentation does.
        seconds = 1 if stats.release is not None else 2
        if stats.uptime is None or flushed.uptime is None:
            return now - since > seconds
        return stats.uptime >= flushed.uptime + seconds


def _is_broken(before: ServerStats, after: ServerStats) -> bool:
    """Whether a second passed without a flush, or the server was restarted."""
    if before.pid != after.pid or before.uptime is None or after.uptime is None:
        return before.pid != after.pid or before.uptime != after.uptime
    return not before.uptime <= after.uptime <= before.uptime + 1
