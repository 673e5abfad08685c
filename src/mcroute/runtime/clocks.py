"""Time, timers and tasks of a driver, as the runtime uses them. asyncio's fit these interfaces."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

__all__ = ("Clock", "Future", "Promise", "Task", "Timer")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancels the call, unless it was made already."""


class Future(Protocol[T_co]):
    """A result to come, awaited by one coroutine. Cancelling that coroutine's task cancels the future."""

    def done(self) -> bool:
        """Whether the future has a result or an exception, or was cancelled."""

    def cancelled(self) -> bool:
        """Whether the future was cancelled."""

    def __await__(self) -> Generator[Any, None, T_co]: ...


class Promise(Future[None], Protocol):
    """A future whose result the runtime sets."""

    def set_result(self, result: None, /) -> None:
        """Resumes the awaiting coroutine, after the present callback has returned."""


class Task(Future[T_co], Protocol[T_co]):
    """A running coroutine. Awaiting the task returns the coroutine's result, or raises its exception."""

    def cancel(self) -> object:
        """Raises in the coroutine an exception that is no `Exception`, at the place where it awaits."""

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Schedules `callback` with the task as its argument, when the task is done or if it is already."""


class Clock(Protocol):
    """The time, timers and tasks of one driver. Callbacks and coroutines run one at a time."""

    def now(self) -> float:
        """Seconds of the clock that the driver passes to the engine. It never goes backwards."""

    def lasting(self) -> float:
        """Seconds of a clock that goes on while the machine sleeps. Its zero is not that of `now`."""

    def wall(self) -> float:
        """Seconds since 1970. This clock may be set at any time, forwards or backwards."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Timer:
        """Schedules a call after the present callback, in the order of these calls."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Schedules a call when `now` reaches `when`."""

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Schedules a call after so many seconds."""

    def future(self) -> Promise:
        """Returns a new future without a result."""

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Schedules a coroutine. The caller has to keep the task until it is done."""

    def beside(self, function: Callable[[], T]) -> Task[T]:
        """Runs a blocking function, such as a write to a disk, without blocking callbacks and coroutines."""

    async def sleep(self, seconds: float) -> None:
        """Returns after so many seconds. After 0 the calls run first that are scheduled for now."""

    async def within(self, seconds: float | None, awaitable: Awaitable[T]) -> T:
        """Returns the result of `awaitable`. After so many seconds cancels it and raises TimeoutError."""
