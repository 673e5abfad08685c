"""Keeps the stored journals of missed writes small and on the disk, while a plan is at work."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .clocks import Clock, Task, Timer
from .interfaces import Journal, JournalStore

__all__ = ("SavedJournals",)


class SavedJournals:
    """Calls `JournalStore.keep` each `interval_s`, and then `on_kept`. `journals` are all servers'."""

    def __init__(
        self,
        store: JournalStore,
        clock: Clock,
        interval_s: float,
        journals: Callable[[], Mapping[int, Journal]],
        on_kept: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._interval_s = interval_s
        self._journals = journals
        self._on_kept = on_kept
        self._timer: Timer | None = None
        self._task: Task[None] | None = None

    def begin(self) -> None:
        self._timer = self._clock.call_later(self._interval_s, self._keep)

    def _keep(self) -> None:
        store, failures = self._store, self._store.saver.failures
        journals = self._journals()
        self._task = self._clock.beside(lambda: store.keep(failures, journals))
        self._task.add_done_callback(self._kept)

    def _kept(self, task: Task[None]) -> None:
        self._task = None
        # After the end: a disk that is slower than the interval is asked once at a time.
        if self._timer is not None:
            self.begin()
            self._on_kept()

    def close(self) -> None:
        """Begins nothing more; a call that is under way goes on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
