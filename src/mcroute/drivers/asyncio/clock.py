"""The `Clock` of an asyncio loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from .timing import in_time

__all__ = ("AsyncioClock",)

T = TypeVar("T")


class AsyncioClock:
    """A `Clock`: the time, timers and tasks of `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    def lasting(self) -> float:
        # On systems without that clock, the monotonic one is the nearest.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def wall(self) -> float:
        return time.time()

    def call_soon(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        return self._loop.call_soon(callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return self._loop.call_at(when, callback, *args)

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return self._loop.call_later(delay_s, callback, *args)

    def future(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        return self._loop.create_task(coroutine)

    def beside(self, function: Callable[[], T]) -> asyncio.Task[T]:
        return self._loop.create_task(asyncio.to_thread(function))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def within(self, seconds: float | None, awaitable: Awaitable[T]) -> T:
        return await in_time(awaitable, seconds)
