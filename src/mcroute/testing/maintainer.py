"""The LRU maintainer, a thread in memcached. Here its passes are carried out before the next command."""

from __future__ import annotations

from collections.abc import Callable

from .lru import Lists
from .slabs import SlabClass

__all__ = ("Maintainer",)

# Microseconds. memcached's own shortest sleep is 1 ms: a simulation of many servers would pay for each pass.
_SECOND = 1_000_000
_SHORTEST_SLEEP, _LONGEST_SLEEP = 10_000, _SECOND - 1
_PASS = 50  # that a pass itself takes


class _Pace:
    """How often a class is looked at: seldom where nothing moves."""

    __slots__ = ("backoff", "wait")

    def __init__(self, wait: int = 0, backoff: int = 0) -> None:
        self.wait = wait
        self.backoff = backoff

    def looked(self, moves: int) -> None:
        if moves:
            self.backoff //= 2
            if self.backoff < _SHORTEST_SLEEP:
                self.backoff = 0
        elif self.backoff:
            self.backoff = min(self.backoff + self.backoff // 8, _LONGEST_SLEEP)
        else:
            self.backoff = _SHORTEST_SLEEP
        self.wait = self.backoff


class Maintainer:
    """Carries out the passes since the last call, each at the time that it would have had.

    Times are microseconds since the server's start; `second_at` converts them to the server's clock.
    """

    def __init__(self, lists: Lists, second_at: Callable[[int], int]) -> None:
        self.next_at: int = _SHORTEST_SLEEP
        self.passes: int = 0  # lru_maintainer_juggles
        self._lists = lists
        self._second_at = second_at
        self._sleep = _SHORTEST_SLEEP
        self._empty = _Pace()  # of all classes that never had an item
        self._paces: dict[SlabClass, _Pace] = {}

    def watch(self, slab: SlabClass) -> None:
        """Begins with a class that has its first item now."""
        if slab not in self._paces:
            self._paces[slab] = _Pace(self._empty.wait, self._empty.backoff)

    def run(self, until: int) -> None:
        while self.next_at <= until:
            self._lists.now = self._second_at(self.next_at)
            self._sleep = self._pass(max(self._sleep, _SHORTEST_SLEEP))
            self.next_at += self._sleep + _PASS

    def _pass(self, slept: int) -> int:
        """Returns how long to sleep."""
        self.passes += 1
        if (wait := self._empty.wait - slept) > 0:
            self._empty.wait = wait
        else:
            self._empty.looked(0)
        sleep = self._empty.wait
        for slab, pace in self._paces.items():
            if (wait := pace.wait - slept) > 0:
                pace.wait = wait
            else:
                pace.looked(self._lists.juggle(slab))
                wait = pace.wait
            if wait < sleep:
                sleep = wait
        if self._lists.bumped and self._lists.refresh_bumped():
            sleep = min(sleep, _SHORTEST_SLEEP)
        return sleep
