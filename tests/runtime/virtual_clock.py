"""A clock that jumps to whatever is due next, and tasks without asyncio: one seed, one history."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from mcroute.runtime.waiting import ended

T = TypeVar("T")


class Cancelled(BaseException):
    """Raised in a task where it awaits, once it is cancelled."""


class VirtualTimer:
    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._callback: Callable[..., object] | None = callback
        self._args = args

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        if self._callback is not None:
            self._callback(*self._args)


class VirtualFuture:
    """Ends once: with a result, an exception, or cancelled."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._outcome: Callable[[], Any] | None = None
        self._callbacks: list[Callable[[Any], object]] = []
        self.is_awaited = False

    def done(self) -> bool:
        return self._outcome is not None

    def cancelled(self) -> bool:
        return self._outcome is _raise_cancelled

    def set_result(self, result: Any) -> None:
        self._end(lambda: result)

    def cancel(self) -> None:
        if not self.done():
            self._end(_raise_cancelled)

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        if self.done():
            self._clock.call_soon(callback, self)
        else:
            self._callbacks.append(callback)

    def _end(self, outcome: Callable[[], Any]) -> None:
        assert not self.done()
        self._outcome = outcome
        for callback in self._callbacks:
            self._clock.call_soon(callback, self)

    def __await__(self) -> Generator[VirtualFuture, None, Any]:
        self.is_awaited = True
        if not self.done():
            yield self
        assert self._outcome is not None
        return self._outcome()


class VirtualTask(VirtualFuture):
    def __init__(self, clock: VirtualClock, coroutine: Coroutine[Any, Any, Any]) -> None:
        super().__init__(clock)
        self._coroutine = coroutine
        self._awaited: VirtualFuture | None = None
        self._must_cancel = False
        clock.call_soon(self._step)

    def cancel(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.cancel()
        else:
            self._must_cancel = not self.done()

    def _step(self, _: object = None) -> None:
        must_cancel, self._must_cancel, self._awaited = self._must_cancel, False, None
        try:
            awaited = self._coroutine.throw(Cancelled()) if must_cancel else self._coroutine.send(None)
        except StopIteration as end:
            self.set_result(end.value)
        except Cancelled:
            self._end(_raise_cancelled)
        except Exception as error:
            self._clock.failed.append((self, error))
            self._end(_raising(error))
        else:
            self._awaited = awaited
            awaited.add_done_callback(self._step)


def _raise_cancelled() -> None:
    raise Cancelled


def _raising(error: Exception) -> Callable[[], None]:
    def outcome() -> None:
        raise error

    return outcome


class VirtualClock:
    """A `Clock`."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._due: list[tuple[float, int, VirtualTimer]] = []
        self._serials = itertools.count()
        self.failed: list[tuple[VirtualFuture, Exception]] = []  # tasks

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it to its end. Raises what it raises, or a task whose end nobody awaits.

        RuntimeError if it waits for what never comes.
        """
        task = self.start(coroutine)
        while not task.done():
            if not self._due:
                raise RuntimeError("nothing is due any more")
            when, _, timer = heapq.heappop(self._due)
            self._now = max(self._now, when)
            timer.fire()
        for failed, error in self.failed:
            if not failed.is_awaited:
                raise error
        assert task._outcome is not None
        result: T = task._outcome()
        return result

    def now(self) -> float:
        return self._now

    def lasting(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any) -> VirtualTimer:
        return self.call_at(self._now, callback, *args)

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> VirtualTimer:
        return self.call_at(self._now + delay_s, callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> VirtualTimer:
        timer = VirtualTimer(callback, args)
        heapq.heappush(self._due, (max(when, self._now), next(self._serials), timer))
        return timer

    def future(self) -> VirtualFuture:
        return VirtualFuture(self)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> VirtualTask:
        return VirtualTask(self, coroutine)

    def beside(self, function: Callable[[], T]) -> VirtualTask:
        async def call() -> T:
            return function()

        return self.start(call())

    async def sleep(self, seconds: float) -> None:
        over = self.future()
        timer = self.call_later(seconds, over.set_result, None)
        try:
            await over
        finally:
            timer.cancel()

    async def within(self, seconds: float | None, awaitable: Awaitable[T]) -> T:
        async def awaiting() -> T:
            return await awaitable

        task = self.start(awaiting())
        try:
            await ended(self, [task], seconds)
        finally:
            if not task.done():
                task.cancel()
                await ended(self, [task])
        if task.cancelled():
            raise TimeoutError
        result: T = await task
        return result
