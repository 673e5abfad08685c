"""One time per key, and the earliest of them, at O(log n) per change."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

__all__ = ("Alarms",)

# The heap may hold this many outdated entries before they are removed.
SLACK = 64


class Alarms:
    """Each key, an integer, has one time or none."""

    def __init__(self) -> None:
        self._times: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []  # includes outdated entries

    def set(self, key: int, time: float | None) -> None:
        """Sets the key's time; None removes it."""
        if time == self._times.get(key):
            return
        if time is None:
            del self._times[key]
            return
        self._times[key] = time
        heappush(self._heap, (time, key))
        if len(self._heap) > 2 * len(self._times) + SLACK:
            self._heap = [(time, key) for key, time in self._times.items()]
            heapify(self._heap)

    def next(self) -> float | None:
        """The earliest time; None if no key has one."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[int]:
        """Removes and returns the keys whose time has come."""
        due = []
        while (time := self.next()) is not None and time <= now:
            _, key = heappop(self._heap)
            del self._times[key]
            due.append(key)
        return due
