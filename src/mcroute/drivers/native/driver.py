"""The native loop's threads: started, supervised, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import threading
from collections.abc import Callable
from functools import partial
from random import Random

from ..._loop.threads import LoopThread
from ...policy import Plan
from ...runtime.hosted_links import HostedLinks
from ...runtime.link_values import EVENTS_MAX, LinkEvent
from ..asyncio.addresses import Resolver
from ..asyncio.control import AsyncioControl
from ..asyncio.engine_loop import OnStats, ask_for_stats
from ..asyncio.environment import Environment
from ..forks import at_fork
from .engine import NativeEngine

__all__ = ("NativeDriver",)

# A thread that was told to stop ends with its turn.
STOP_S = 5.0
RETRY_S = 1.0

log: logging.Logger = logging.getLogger("mcroute")


class NativeDriver(HostedLinks):
    """A `Driver` of `count` threads that need no interpreter; the running asyncio loop reads their events.

    Set `on_stats`: it answers stats commands. `begin` starts the threads, `close` ends them. The servers'
    words are in `memory` if it is given. Raises OSError when no descriptors are left.
    """

    def __init__(
        self,
        plan: Plan,
        count: int,
        rng: Random,
        memory: memoryview | None = None,
        environment: Environment | None = None,
    ) -> None:
        environment = environment or Environment()
        self._loop = asyncio.get_running_loop()
        resolver = Resolver(environment.lookups())
        self.control: AsyncioControl = AsyncioControl(resolver, rng)
        self._notify_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.threads: tuple[LoopThread, ...] = tuple(
            LoopThread(self._notify_fd, rng.getrandbits(63)) for _ in range(count)
        )
        super().__init__(self.threads, environment.clock(self._loop), resolver)
        self.engine: NativeEngine = NativeEngine(self.threads, memory)
        self.engine.install(plan)
        self.on_stats: OnStats
        self._is_closed = False
        self._timers: dict[int, asyncio.TimerHandle] = {}  # of waiting custom routes, by thread
        self._retrying: asyncio.TimerHandle | None = None
        self._running: list[threading.Thread] = []
        self._loop.add_reader(self._notify_fd, self._on_notify)

    def begin(self) -> None:
        """Starts the threads; nothing is served before."""
        for number, thread in enumerate(self.threads):
            thread.will_run()
            # Daemons: a process ends even if its proxy was not closed.
            running = threading.Thread(target=thread.run, name=f"mcroute-{number}", daemon=True)
            try:
                running.start()
            except BaseException:
                thread.will_run(False)
                raise
            self._running.append(running)

    # ---- events of the threads ----

    def take_events(self) -> None:
        """Handles all pending events."""
        while self._take_some_events():
            pass

    def _on_notify(self) -> None:
        """Handles some events: a thousand servers may have failed, and this loop has other work."""
        if self._take_some_events():
            self._loop.call_soon(self._on_notify)

    def _take_some_events(self) -> bool:
        """Returns whether there may be more."""
        if self._is_closed:
            return False
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._notify_fd)
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None
        has_more = False
        for index in range(len(self.threads)):
            try:
                has_more |= self._take_events_of(index)
            except Exception:
                # A thread whose events were not all taken does not notify again.
                log.exception("the events of a thread are read again in %g s", RETRY_S)
                if self._retrying is None:
                    self._retrying = self._loop.call_later(RETRY_S, self._on_notify)
        # A thread does not notify of ejections before the acknowledgement.
        self._supervision.look_for_trips()
        return has_more

    def _take_events_of(self, index: int) -> bool:
        thread = self.threads[index]
        events: list[LinkEvent] = []
        try:
            events = thread.events()
            for event in events:
                self._tell(event)
            for number, line in thread.take_deferred():
                ask_for_stats(self.on_stats, line, partial(self._answer, thread, number))
            self._run_routes(index)
        finally:
            # Otherwise there are more, and this loop reads on unasked.
            if len(events) < EVENTS_MAX:
                thread.acknowledge()
        return len(events) == EVENTS_MAX

    def _answer(self, thread: LoopThread, number: int, reply: bytes) -> None:
        try:
            thread.answer(number, reply)
        except RuntimeError:
            # At the deadline its client gets a timeout error.
            log.exception("a thread did not take a reply to stats")

    def _run_routes(self, index: int) -> None:
        due = self.threads[index].run_routes(self._loop.time())
        if index in self._timers:
            self._timers.pop(index).cancel()
        if due < math.inf:
            self._timers[index] = self._loop.call_at(due, self._run_routes, index)

    # ---- links ----

    def schedule(self) -> None:
        """Nothing to do: a thread flushes by itself after each job."""

    def retry_now(self, server: int) -> None:
        self.engine.retry_now(server)

    async def closed(self, server: int) -> None:
        # Threads have closed the connections on request; only the events are left.
        self.take_events()

    # ---- the end ----

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for timer in (*self._timers.values(), self._retrying):
            if timer is not None:
                timer.cancel()
        self._loop.remove_reader(self._notify_fd)
        for thread in self.threads:
            try:
                thread.stop()
            except RuntimeError:
                log.exception("a thread did not stop")
        for running in self._running:
            running.join(STOP_S)
        # A hanging thread may still write to it: the number must not become another descriptor's.
        if not any(running.is_alive() for running in self._running):
            os.close(self._notify_fd)
        self._running.clear()

    def at_fork(self, detach: Callable[[], None]) -> None:
        at_fork(detach)

    def detach(self) -> None:
        # The running loop's epoll set is shared with the parent: nothing is removed from it.
        self._is_closed = True
        for thread in self.threads:
            thread.detach()
