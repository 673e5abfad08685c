"""Calls hooks with the changes of servers' states, each hook in a thread of its own."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..errors import McrouteError
from ..policy import StateChange
from ..runtime.log_limit import LogLimit

__all__ = ("Deliveries", "Hook", "Hooks", "Undelivered", "checked")

Hook = Callable[[StateChange], object]

# Changes that wait for one hook: when a thousand servers go out at once, all of them have room.
QUEUE_MAX = 4096
# How long the end waits for hooks that are still busy.
CLOSE_S = 3.0
LOG_S = 10.0

log: logging.Logger = logging.getLogger("mcroute")


class Undelivered(McrouteError):
    """Raised by a hook that has given an event up, for a reason that needs no traceback."""


class Deliveries(NamedTuple):
    """The counts of one hook: calls that returned and that raised, changes left out, changes that wait."""

    sent: int
    failed: int
    dropped: int
    waiting: int


def checked(hooks: Sequence[Hook]) -> Sequence[Hook]:
    """Returns the hooks. Raises TypeError for a coroutine function, which nothing would await."""
    for hook in hooks:
        if inspect.iscoroutinefunction(hook) or not callable(hook):
            raise TypeError(f"{hook!r} cannot be a hook: a hook is a plain function, called from a thread")
    return hooks


class Hooks:
    """The hooks of one proxy or client. `put` takes a change and never waits; `close` ends the threads.

    A hook is called with one change at a time, in the order of the changes. Its exceptions are logged. While
    it is busy, up to 4096 changes wait; then the oldest one is dropped. A hook may have a method `close`,
    which is called once, from another thread than the hook, when no further changes come.

    Raises TypeError as `checked`.
    """

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._queues = [_HookQueue(hook) for hook in checked(hooks)]

    def put(self, change: StateChange) -> None:
        """Passes the change to all hooks. The threads start with the first change."""
        for queue in self._queues:
            queue.put(change)

    def deliveries(self) -> dict[str, Deliveries]:
        """The counts so far, by the hook's name; hooks of one name are summed up."""
        found: dict[str, Deliveries] = {}
        for queue in self._queues:
            counts, before = queue.deliveries(), found.get(queue.name, (0, 0, 0, 0))
            found[queue.name] = Deliveries(*(a + b for a, b in zip(before, counts, strict=True)))
        return found

    async def close(self, limit_s: float = CLOSE_S) -> None:
        """Waits at most so many seconds for the hooks, all together. What still waits then is dropped."""
        until = time.monotonic() + limit_s
        for queue in self._queues:
            queue.end()
        for queue in self._queues:
            while queue.is_busy and time.monotonic() < until:
                await asyncio.sleep(0.01)
            queue.abandon()


class _HookQueue:
    """The changes that wait for one hook, and the thread that calls it."""

    def __init__(self, hook: Hook) -> None:
        name = getattr(hook, "name", "") or getattr(hook, "__qualname__", type(hook).__qualname__)
        # A row of `stats` ends its name at a blank.
        self.name: str = "_".join(name.split())
        self._hook = hook
        self._changes: deque[StateChange] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._has_ended = False
        self._sent = self._failed = self._dropped = 0
        self._limit = LogLimit(LOG_S)

    def put(self, change: StateChange) -> None:
        with self._changed:
            if self._has_ended:
                return
            self._changes.append(change)
            is_full = len(self._changes) > QUEUE_MAX
            if is_full:
                self._changes.popleft()
                self._dropped += 1
            self._changed.notify()
        if is_full and self._limit.is_due("full", time.monotonic()):
            log.warning("hook %s is busy: %d events dropped so far", self.name, self._dropped)
        if self._thread is None:
            self._begin()

    def _begin(self) -> None:
        # A daemon: a hook that hangs must not keep the process from its end.
        thread = threading.Thread(target=self._run, name=f"mcroute-hook-{self.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # No thread can be started now. The next change tries it again.
            if self._limit.is_due("thread", time.monotonic()):
                log.error("hook %s is not called: %s", self.name, error)
            return
        self._thread = thread

    def _run(self) -> None:
        while (change := self._next()) is not None:
            try:
                self._hook(change)
            except Exception as error:
                self._failed += 1
                if self._limit.is_due("failed", time.monotonic()):
                    self._log(error)
            else:
                self._sent += 1

    def _log(self, error: Exception) -> None:
        text, count = "hook %s has failed (%d times so far)", self._failed
        if isinstance(error, Undelivered):
            log.warning(f"{text}: %s", self.name, count, error)
        else:
            log.error(text, self.name, count, exc_info=error)

    def _next(self) -> StateChange | None:
        """The oldest change, once there is one. None at the end."""
        with self._changed:
            while not self._changes and not self._has_ended:
                self._changed.wait()
            return self._changes.popleft() if self._changes else None

    def deliveries(self) -> Deliveries:
        return Deliveries(self._sent, self._failed, self._dropped, len(self._changes))

    # ---- the end ----

    def end(self) -> None:
        """No further changes come."""
        with self._changed:
            self._has_ended = True
            self._changed.notify()
        close = getattr(self._hook, "close", None)
        try:
            if close is not None:
                close()
        except Exception:
            log.exception("hook %s has failed in close", self.name)

    @property
    def is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def abandon(self) -> None:
        """Drops what waits. The thread ends with the present call of the hook."""
        with self._changed:
            left = len(self._changes)
            self._dropped += left
            self._changes.clear()
        if left:
            log.warning("hook %s is busy at the end: %d events dropped", self.name, left)
