"""A semaphore, and waiting for tasks, built on the futures of a `Clock`."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from .interfaces import Clock, Promise, Task

__all__ = ("Slots", "ended", "together")

T = TypeVar("T")


class Slots:
    """A semaphore: `async with` lets `count` coroutines in at a time, first come, first served."""

    def __init__(self, clock: Clock, count: int) -> None:
        self._clock = clock
        self._free = count
        self._waiting: deque[Promise] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = self._clock.future()
        self._waiting.append(turn)
        has_entered = False
        try:
            await turn
            has_entered = True
        finally:
            # A task cancelled after its turn has come passes the turn on.
            if not has_entered and turn.done() and not turn.cancelled():
                self._leave()

    async def __aexit__(self, *error: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._free += 1
        while self._free and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


async def ended(clock: Clock, tasks: Iterable[Task[Any]], seconds: float | None = None) -> None:
    """Returns when all tasks are done, by a result or an exception, or after so many seconds."""
    running = {task: None for task in tasks if not task.done()}
    if not running:
        return
    over = clock.future()

    def end(task: Task[Any] | None) -> None:
        running.pop(task, None) if task is not None else running.clear()
        if not running and not over.done():
            over.set_result(None)

    for task in tuple(running):
        task.add_done_callback(end)
    timer = None if seconds is None else clock.call_later(seconds, end, None)
    try:
        await over
    finally:
        if timer is not None:
            timer.cancel()


async def together(clock: Clock, coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs coroutines at the same time. Returns their results in order, or raises an exception of one.

    Returns when all have ended. Cancelling the caller cancels all of them.
    """
    tasks = [clock.start(coroutine) for coroutine in coroutines]
    try:
        await ended(clock, tasks)
    finally:
        if any(not task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            await ended(clock, tasks)
    return [await task for task in tasks]
