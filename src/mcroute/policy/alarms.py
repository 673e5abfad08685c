"""A time for each of many, and the earliest of them: O(log n) a change, however many there are."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

__all__ = ("Alarms",)

# So many heap entries that are no longer true are kept at least before they are thrown out.
SLACK = 64


class Alarms:
    """Each key has one time or none. Keys are integers."""

    def __init__(self) -> None:
        self._times: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []  # also has entries that have been replaced

    def set(self, key: int, time: float | None) -> None:
        """None: no longer."""
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
        """The keys whose time has come, which have none any more."""
        due = []
        while (time := self.next()) is not None and time <= now:
            _, key = heappop(self._heap)
            del self._times[key]
            due.append(key)
        return due
