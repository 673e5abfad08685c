"""An asyncio event loop in virtual time: it waits for nothing, and its connections are the network's."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

from .listeners import SimulatedListener
from .machines import MACHINE, Machine, machine_here
from .network import Network

__all__ = ("Busy", "SimulationLoop", "Stalled")

T = TypeVar("T")

# The time at which a loop begins, in seconds: that of a machine that has run for a while.
BEGIN_S = 1000.0
# More calls within a second are a loop without end.
STEPS_MAX = 5_000_000


class Stalled(RuntimeError):
    """The program waits for something that can never happen."""


class Busy(RuntimeError):
    """The program runs without end, and time does not pass."""


class _Call(asyncio.TimerHandle):
    """A scheduled call. `context` runs it; `callback` is None if it was cancelled."""

    # A run makes millions of them.
    __slots__ = ("args", "at_s", "callback", "context")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context,
    ) -> None:
        # Nothing of the base class is used but its type.
        self.at_s = when
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = context

    def __repr__(self) -> str:
        return f"<call at {self.at_s:.6f}: {self.callback} {self.args}>"

    def cancel(self) -> None:
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self.at_s


class SimulationLoop(asyncio.AbstractEventLoop):
    """A loop whose time passes only while nothing can run; single-threaded.

    A task belongs to the machine that it was started on by `on`: its connections are this machine's, and
    `kill` ends it as SIGKILL does. Blocking functions for executors run at once. An exception that no task
    awaits is in `failures`, with asyncio's message.
    """

    @classmethod
    def of(cls, network: Network) -> SimulationLoop:
        """The loop of a network."""
        # Type checkers want every method of a loop, also those for files, signals and child processes.
        return cls(network)

    def __init__(self, network: Network) -> None:
        self.network = network
        self.failures: list[tuple[str, BaseException | None]] = []
        self._now = BEGIN_S
        self._second_ends_at = int(BEGIN_S) + 1
        self._ready: deque[_Call] = deque()
        # By time, then in the order of scheduling.
        self._timers: list[tuple[float, int, _Call]] = []
        self._serials = itertools.count()
        self.steps: dict[int, int] = {}  # the number of calls in each second of the past
        self._steps = 0
        self._killed: list[asyncio.Task[Any]] = []
        self._is_running = self._is_stopping = self._is_over = self._is_closed = False
        network.begin(self)

    # ---- running ----

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs `main` to its end, cancels the tasks that are left, and closes the loop.

        Raises what `main` raises, and Stalled if it waits for something that can never happen.
        """
        try:
            result: T = self.run_until_complete(main)
            return result
        finally:
            self._cancel_all()
            self._bury()
            self.close()

    def _cancel_all(self) -> None:
        killed = set(map(id, self._killed))
        rest = [task for task in asyncio.all_tasks(self) if id(task) not in killed]
        for task in rest:
            task.cancel()
        for task in rest:
            with_end = asyncio.gather(task, return_exceptions=True)
            self.run_until_complete(with_end)

    def _bury(self) -> None:
        """Ends the coroutines of killed machines, whose `finally` clauses change nothing any more."""
        self._is_over = True
        for task in self._killed:
            # A clause that awaits is left there.
            with contextlib.suppress(RuntimeError):
                cast(Coroutine[Any, Any, Any], task.get_coro()).close()
        self._killed.clear()

    def run_until_complete(self, future: Any) -> Any:
        task = asyncio.ensure_future(future, loop=self)
        task.add_done_callback(self._stop_after)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(self._stop_after)
        return task.result()

    def _stop_after(self, _: object) -> None:
        self.stop()

    def run_forever(self) -> None:
        self._check_open()
        before = events._get_running_loop()
        if self._is_running or before is not None:
            raise RuntimeError("a loop is running in this thread already")
        self._is_running, self._is_stopping = True, False
        events._set_running_loop(self)
        try:
            self._turn_until_stopped()
        finally:
            self._is_running = False
            events._set_running_loop(None)

    def _turn_until_stopped(self) -> None:
        """Each turn runs the calls that are ready, or passes the time until one is due."""
        # A run has millions of turns, most of them with one call.
        ready, timers, pop = self._ready, self._timers, heapq.heappop
        while not self._is_stopping:
            if not ready:
                while timers and timers[0][2].callback is None:
                    pop(timers)
                if not timers:
                    raise Stalled("nothing is scheduled any more")
                self._pass_to(timers[0][0])
            while timers and timers[0][0] <= self._now:
                ready.append(pop(timers)[2])
            count = len(ready)
            self._steps += count
            if self._steps > STEPS_MAX:
                raise Busy(f"{self._steps} calls within a second, now {ready[0]}")
            for _ in range(count):
                call = ready.popleft()
                if call.callback is None:
                    continue
                try:
                    call.context.run(call.callback, *call.args)
                except Exception as error:
                    self.call_exception_handler({"message": f"in {call}", "exception": error})

    def _pass_to(self, at_s: float) -> None:
        if at_s >= self._second_ends_at:
            self.steps[int(self._now)], self._steps = self._steps, 0
            self._second_ends_at = int(at_s) + 1
        if at_s > self._now:
            self._now = at_s

    def stop(self) -> None:
        self._is_stopping = True

    def is_running(self) -> bool:
        return self._is_running

    def is_closed(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True
        self._ready.clear()
        self._timers.clear()

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("the loop is closed")

    async def shutdown_asyncgens(self) -> None:
        """Asynchronous generators end with the interpreter's own means."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There are no threads."""

    # ---- time and calls ----

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        call = self._call(self._now, callback, args, context)
        self._ready.append(call)
        return call

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        call = self._call(self._now + delay, callback, args, context)
        heapq.heappush(self._timers, (call.at_s, next(self._serials), call))
        return call

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        call = self._call(when, callback, args, context)
        heapq.heappush(self._timers, (when, next(self._serials), call))
        return call

    def _call(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> _Call:
        if self._is_closed:
            self._check_open()
        if context is None:
            context = copy_context()
        call = _Call(when, callback, args, context)
        machine = context.get(MACHINE)
        if (machine is not None and machine.is_dead) or self._is_over:
            call.cancel()
        return call

    # ---- futures and tasks ----

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        if context is not None:
            return context.run(self.create_task, coro, name=name)
        task = asyncio.Task(coro, loop=self, name=name, **options)
        machine = MACHINE.get()
        if machine is not None:
            machine.tasks.add(task)
        return task

    def get_task_factory(self) -> None:
        return None

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Calls the function at once: a thread would make the order of events depend on the system."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    # ---- machines ----

    def on(self, machine: Machine, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts a coroutine on a machine."""
        context = copy_context()
        context.run(MACHINE.set, machine)
        return context.run(self.create_task, coroutine)

    def kill(self, machine: Machine) -> None:
        """Ends the machine's process: closes its connections, and drops its tasks and timers."""
        calls = [*self._ready, *(call for _, _, call in self._timers)]
        own = {id(call) for call in calls if call.context.get(MACHINE) is machine}
        for call in calls:
            if id(call) in own:
                call.cancel()
        for task in machine.tasks:
            # Referenced until the loop ends: destroyed tasks would run their `finally` clauses.
            self._killed.append(task)
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        machine.crash()

    # ---- connections ----

    async def create_connection(
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        return await self.network.connect(machine_here(), protocol_factory, host, port)

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any
    ) -> SimulatedListener:
        machine = machine_here()
        listener = SimulatedListener(self.network, machine, protocol_factory, port or 0)
        machine.connections[listener] = None
        return listener

    # ---- exceptions and debugging ----

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append((context.get("message", ""), context.get("exception")))

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """There is no debug mode."""
