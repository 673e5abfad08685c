"""The demo's sequence: fill the cache, apply load, fail a server, restore it, report the result."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ...asyncio import Proxy, start_proxy
from ...policy import HealthSettings, Replicate, State, SupervisorSettings
from .fleet import Fault, Fleet
from .load import Load
from .show import Screen, ServerRow
from .tally import Phase, Tally

__all__ = ("SERVER_COUNT", "DemoSettings", "Play", "Times")

SERVER_COUNT = 4
# When the server fails and when it is repaired, as shares of the whole duration.
FAULT_AT = 0.3
REPAIR_AT = 0.6
# Resolution of the times at which the server goes out of service and returns.
LOOK_EVERY_S = 0.001
PROGRESS_EVERY_S = 1.0
DRAIN_S = 1.0
# Those that the system has; a closing terminal sends SIGHUP.
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@dataclass(frozen=True)
class DemoSettings:
    """Settings of a run; `rate` is requests per second, of all clients together."""

    duration_s: float = 15.0
    clients: int = 50
    keys: int = 1000
    copies: int = 2
    rate: float = 1000.0
    seed: int = 1
    fault: Fault = Fault.KILL
    is_embedded: bool = False

    @property
    def health(self) -> HealthSettings:
        """Probes an ejected server sooner than by default, so that the demo shows its return."""
        return HealthSettings(retry_base_s=self.duration_s / 30, retry_cap_s=self.duration_s / 15)


@dataclass
class Times:
    """Times of events, in seconds since the load began; None if the event did not happen."""

    fault: float | None = None
    out: float | None = None  # the proxy has taken the server out of service
    repaired: float | None = None
    back: float | None = None  # it serves again


class _Events(logging.Handler):
    """Shows the proxy's log lines among the demo's events."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(f"proxy: {record.getMessage()}")


class Play:
    """One run; `perform` is awaited once. Also a `Scene`, which can be read during the run and afterwards."""

    def __init__(self, settings: DemoSettings, fleet: Fleet, screen: Screen) -> None:
        self.settings = settings
        self.tally: Tally = Tally()
        self.times: Times = Times()
        self.interrupted_by: signal.Signals | None = None
        self._fleet = fleet
        self._screen = screen
        self._rng = Random(settings.seed)
        self._victim = self._rng.randrange(SERVER_COUNT)
        self._over = asyncio.Event()
        self._proxy: Proxy | None = None
        self._began_at: float | None = None

    # ---- what there is to be seen ----

    @property
    def victim(self) -> str:
        return self._fleet.names[self._victim]

    @property
    def has_begun(self) -> bool:
        return self._began_at is not None

    def seconds(self) -> float:
        """Seconds of load so far."""
        return 0.0 if self._began_at is None else time.perf_counter() - self._began_at

    def servers(self) -> Sequence[ServerRow]:
        rows = zip(self._fleet.pool().servers, self._fleet.conditions, strict=True)
        return [
            ServerRow(server.name, f"{server.host}:{server.port}", condition, self._state(number))
            for number, (server, condition) in enumerate(rows)
        ]

    def _state(self, number: int) -> State:
        return State.UP if self._proxy is None else self._proxy.supervision.supervisor.state(number)

    def _tell(self, text: str) -> None:
        self._screen.event(self.seconds() if self.has_begun else None, text)

    # ---- the plot ----

    async def perform(self) -> None:
        """Raises OSError or RuntimeError if the servers or the proxy cannot be started."""
        settings = self.settings
        events = _Events(self._tell)
        logging.getLogger("mcroute").addHandler(events)
        try:
            with self._ended_by_signals():
                await asyncio.to_thread(self._fleet.start)
                self._tell(f"servers: {SERVER_COUNT} {self._fleet.description}")
                self._proxy = await start_proxy(
                    Replicate(self._fleet.pool(), copies=settings.copies),
                    settings=SupervisorSettings(settings.health),
                    rng=Random(self._rng.getrandbits(63)),
                )
                try:
                    await self._load(self._proxy.port)
                finally:
                    await self._proxy.close(DRAIN_S)
        finally:
            logging.getLogger("mcroute").removeHandler(events)

    @contextlib.contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        """A signal ends the load; the remaining steps run as usual."""
        loop = asyncio.get_running_loop()
        numbers = [signal.Signals[name] for name in SIGNALS if hasattr(signal, name)]
        try:
            for number in numbers:
                # Not on Windows: there Ctrl-C raises KeyboardInterrupt, which cancels everything.
                with contextlib.suppress(NotImplementedError):
                    loop.add_signal_handler(number, self._interrupt, number)
            yield
        finally:
            for number in numbers:
                with contextlib.suppress(NotImplementedError):
                    loop.remove_signal_handler(number)

    def _interrupt(self, number: signal.Signals) -> None:
        self.interrupted_by = number
        self._over.set()

    async def _load(self, port: int) -> None:
        settings = self.settings
        self._tell(f"proxy: 127.0.0.1:{port}, every key on {settings.copies} of {SERVER_COUNT} servers")
        sizes = f"{settings.clients} clients, {settings.keys} keys, {settings.rate:g} requests/s"
        self._tell(f"load: {sizes}, GET:SET 9:1")
        load = Load(
            port,
            clients=settings.clients,
            keys=settings.keys,
            rate=settings.rate,
            rng=self._rng,
            tally=self.tally,
            over=self._over,
        )
        self._screen.begin(self)
        try:
            await load.fill()
            self._began_at = time.perf_counter()
            self.tally.phase = Phase.BEFORE
            await self._run_beside(load.run())
        finally:
            self._screen.end()

    async def _run_beside(self, load: Coroutine[Any, Any, None]) -> None:
        loading = asyncio.create_task(load)
        telling = asyncio.create_task(self._tell_progress())
        try:
            await self._plot()
        finally:
            telling.cancel()
            self._over.set()
            await loading

    async def _plot(self) -> None:
        fault = self.settings.fault
        if not await self._until(FAULT_AT):
            return
        self._tell(f"{self.victim} is {self._fleet.describe(fault)}")
        self.times.fault = self.seconds()
        self.tally.phase = Phase.DURING
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.to_thread(self._fleet.inject, self._victim, fault)
            if await self._until(REPAIR_AT):
                await asyncio.to_thread(self._fleet.repair, self._victim)
                self.times.repaired = self.seconds()
                self._tell(f"{self.victim} runs again")
                await self._until(1.0)
        finally:
            watching.cancel()

    async def _until(self, share: float) -> bool:
        """Waits for this share of the whole duration. Returns False if the run ended before."""
        left = share * self.settings.duration_s - self.seconds()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._over.wait(), max(0.0, left))
        return not self._over.is_set()

    async def _watch(self) -> None:
        """Records when the proxy ejects the victim, and when it restores it."""
        while self._state(self._victim) is State.UP:
            await asyncio.sleep(LOOK_EVERY_S)
        self.times.out = self.seconds()
        while self._state(self._victim) is not State.UP:
            await asyncio.sleep(LOOK_EVERY_S)
        self.times.back = self.seconds()
        self.tally.phase = Phase.AFTER

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            self._screen.progress(self)
