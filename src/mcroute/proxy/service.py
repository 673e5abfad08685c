"""A proxy on any driver: a routing, and a front that accepts clients."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..drivers.asyncio.engine_loop import OnStats
from ..drivers.asyncio.environment import Environment
from ..drivers.asyncio.timing import in_time
from ..observe.observer import Observer, serve_metrics
from ..observe.server_stats import SUBJECTS, AllServers
from ..policy import Limits, Plan, SupervisorSettings, Upkeep
from ..policy.servers import host_and_port
from ..runtime.interfaces import Driver, StateStore
from ..runtime.log_limit import LogLimit
from ..runtime.routing import FirstUse, Routing
from ..runtime.supervision import Supervision
from .descriptors import Descriptors

if TYPE_CHECKING:
    from ..observe.hooks import Deliveries, Hook, Hooks
    from ..observe.observation import Observation
    from ..observe.prometheus import MetricsServer

__all__ = ("Front", "FrontedDriver", "Service")

log: logging.Logger = logging.getLogger("mcroute")

S = TypeVar("S", bound="Service")


@contextlib.contextmanager
def _named(where: str) -> Iterator[None]:
    """Puts the unavailable address into an OSError, as its file name."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), where) from error


class Front(Protocol):
    """Accepts clients. Requests of its sessions go to its engine."""

    async def listen(self, host: str, port: int) -> int:
        """Returns the port. Raises OSError if the address is not available."""

    async def listen_on_path(self, path: str) -> None:
        """Listens on a unix socket. Raises OSError if the path is not available."""

    def stop_listening(self) -> None: ...

    def sessions(self) -> int:
        """The number of open sessions."""

    def end_sessions(self) -> None:
        """Takes no more requests: each session ends when its pending requests are answered."""

    def abort_sessions(self) -> None:
        """Ends all sessions now, or in the next turn of the loop."""

    async def closed(self) -> None:
        """Returns when all listening sockets are closed."""

    def set_clients_max(self, clients_max: int) -> None:
        """Bounds the number of clients; connected clients stay. Call it before `listen`, if ever."""

    def clients_held(self) -> int:
        """How often that bound made clients wait."""

    def about(self) -> dict[str, object]:
        """Rows for `stats`, beside the rows of every proxy."""


class FrontedDriver(Driver, Protocol):
    """A driver whose clients may send `stats`."""

    on_stats: OnStats


class Service(abc.ABC):
    """Serves clients by a plan, on the running loop. `start` begins, `close` ends; also a context manager.

    `rng` is the only source of randomness: seeds of engines, jitter of retries. `state` is the state file,
    shared with the previous and the next process; servers that it does not list are flushed before use if
    `first_use` is "flush". `descriptors` bounds the clients. `upkeep` has the times of questions to servers
    and of reloads. `hooks` are called with each `StateChange`, see `Hooks`. `environment` is for simulations
    and tests.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        settings: SupervisorSettings | None = None,
        limits: Limits | None = None,
        rng: Random | None = None,
        state: StateStore | None = None,
        first_use: FirstUse = "trust",
        descriptors: Descriptors | None = None,
        upkeep: Upkeep | None = None,
        hooks: Sequence[Hook] = (),
        environment: Environment | None = None,
    ) -> None:
        rng = rng or Random()
        driver, self._front = self._driven(plan, rng, state.memory if state else None, environment)
        routing = Routing(
            plan,
            driver,
            settings=settings,
            limits=limits,
            rng=rng,
            state=state,
            first_use=first_use,
            upkeep=upkeep,
        )
        self.plan: Plan = routing.plan
        self.port: int = 0
        self.metrics_port: int = 0
        self.supervision: Supervision = routing.supervision
        self._routing = routing
        self._hooks = self._hooked(hooks)
        self._descriptors = descriptors
        self._clients_max: int | None = None
        self._clients_held = 0
        self._limit_log = LogLimit(routing.upkeep.log.waiting_clients_s)
        self._limit_look_s = routing.upkeep.waiting_clients_look_s
        self._limit_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._observer = Observer(
            self._loop,
            routing.clock,
            self.supervision.supervisor,
            routing.engine.snapshot,
            self.supervision.journals,
            self.supervision.standins,
            self._journal_file,
            self._deliveries,
        )
        self._metrics: MetricsServer | None = None
        self._path = ""
        self._began_at = self._loop.time()
        self._all_servers = AllServers(routing)
        driver.on_stats = self._stats

    def _hooked(self, hooks: Sequence[Hook]) -> Hooks | None:
        if not hooks:
            return None
        # Imported late: most proxies have none.
        from ..observe.hooks import Hooks  # noqa: PLC0415

        hooked = Hooks(hooks)
        self.supervision.changes.listeners.append(hooked.put)
        return hooked

    @abc.abstractmethod
    def _driven(
        self, plan: Plan, rng: Random, memory: memoryview | None, environment: Environment | None
    ) -> tuple[FrontedDriver, Front]:
        """Returns the driver of the service and its front. The engine's words of servers are in `memory`."""

    def __repr__(self) -> str:
        serving, servers = len(self.supervision.supervisor.serving), len(self.plan.servers)
        return f"<{type(self).__name__} on port {self.port}: {serving} of {servers} servers in service>"

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        path: str = "",
        metrics: tuple[str, int] | None = None,
    ) -> None:
        """Connects to the servers, then listens; waits at most twice `Upkeep.start_s` for servers.

        Port 0 chooses a free port, see `port`. With `path` the proxy listens on a unix socket instead.
        `metrics` is a host and a port for Prometheus (see `metrics_port`), open to everybody who can connect
        there. Raises OSError if it cannot listen, ConfigError for metrics without prometheus-client.
        """
        try:
            self._bound_clients(self.plan)
            await self._routing.prepare()
            self._routing.begin()
            # Distant or dead servers must not delay the clients of the others.
            with contextlib.suppress(TimeoutError):
                await in_time(self._routing.tried(), self._routing.upkeep.start_s)
                await in_time(self._routing.recalled(), self._routing.upkeep.start_s)
            if metrics is not None:
                with _named(host_and_port(*metrics)):
                    self._metrics = serve_metrics(self._observer, *metrics)
                self.metrics_port = self._metrics.port
            if path:
                with _named(f"unix:{path}"):
                    await self._front.listen_on_path(path)
                self._path = path
            else:
                with _named(host_and_port(host, port)):
                    self.port = await self._front.listen(host, port)
        except BaseException:
            await self.close(0)
            raise
        self._observer.is_serving = True

    async def reload(self, plan: Plan, *, settings: SupervisorSettings | None = None) -> None:
        """Switches to another plan, and to these settings if given; no client is disconnected.

        Requests that arrive after the return use the plan; requests in flight finish by the previous one.
        """
        self._bound_clients(plan, self.plan)
        await self._routing.install(plan, settings)
        self.plan = plan
        self._observer.reloaded()

    def _bound_clients(self, plan: Plan, before: Plan | None = None) -> None:
        if self._descriptors is None:
            return
        self._clients_max = self._descriptors.clients_max(plan, before, self._routing.upkeep)
        self._front.set_clients_max(self._clients_max)
        if self._limit_timer is None:
            self._limit_timer = self._loop.call_later(
                self._limit_look_s, self._look_at_limit, self._descriptors
            )

    def _look_at_limit(self, descriptors: Descriptors) -> None:
        self._limit_timer = self._loop.call_later(self._limit_look_s, self._look_at_limit, descriptors)
        held = self._front.clients_held()
        if held > self._clients_held and self._limit_log.is_due("clients", self._loop.time()):
            log.warning(
                "clients have to wait: at most %s are connected at once, since the process may have %d "
                "descriptors open (ulimit -n)",
                self._clients_max,
                descriptors.limit,
            )
        self._clients_held = held

    def reload_failed(self) -> None:
        """Counts a reload whose configuration cannot work."""
        self._observer.failed_reloads += 1

    def observe(self) -> Observation:
        """Counters, latencies and states at this moment; any thread may ask, see `Observer.observe`."""
        return self._observer.observe()

    async def close(self, limit_s: float = 5.0) -> None:
        """Takes no more requests, answers pending ones for at most `limit_s` seconds, then closes."""
        self._observer.is_serving = False
        if self._limit_timer is not None:
            self._limit_timer.cancel()
        try:
            await self._drain(limit_s)
        finally:
            await self._leave()
        await self._front.closed()

    async def _drain(self, limit_s: float) -> None:
        self._front.stop_listening()
        if self._path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._path = ""
        self._front.end_sessions()
        until = self._loop.time() + limit_s
        while self._front.sessions() and self._loop.time() < until:
            await asyncio.sleep(self._routing.upkeep.drain_look_s)
        self._front.abort_sessions()
        while self._front.sessions():
            # Transports report their end in the next turn of the loop.
            await asyncio.sleep(0)

    async def _leave(self) -> None:
        """Closes everything, also if a thread hangs."""
        if self._metrics is not None:
            # In a thread: a scrape in progress waits for this loop.
            await asyncio.to_thread(self._metrics.close)
            self._metrics = None
        await self._all_servers.close()
        try:
            await self._routing.close()
        finally:
            if self._hooks is not None:
                await self._hooks.close()

    def _stats(self, line: bytes, answer: Callable[[bytes], None]) -> None:
        arguments = line.split()[1:]
        if len(arguments) == 1 and arguments[0] in SUBJECTS:
            self._all_servers.ask(arguments[0], answer)
            return
        if arguments == [b"top"]:
            # Imported late: most proxies are never asked.
            from ..observe.top import top_reply  # noqa: PLC0415

            answer(top_reply(self._routing, self._loop.time() - self._began_at))
            return
        # Imported late, with the table of metrics: many proxies never get `stats`.
        from ..observe.stats import stats_reply  # noqa: PLC0415

        answer(stats_reply(arguments, self._routing, self._about(), self._observer))

    def _journal_file(self) -> tuple[int, int, bool] | None:
        store = self._routing.journal_store
        if store is None:
            return None
        return store.saver.size, store.saver.failures, store.saver.is_complete

    def _deliveries(self) -> dict[str, Deliveries]:
        return {} if self._hooks is None else self._hooks.deliveries()

    def _about(self) -> dict[str, object]:
        about = {"uptime": int(self._loop.time() - self._began_at), **self._front.about()}
        if (seen := self._journal_file()) is not None:
            names = ("journal_file_bytes", "journal_file_errors", "journal_file_complete")
            about.update(zip(names, map(int, seen), strict=True))
        if deliveries := self._deliveries():
            rows = ("events_sent", "events_failed", "events_dropped", "events_waiting")
            about.update(zip(rows, map(sum, zip(*deliveries.values(), strict=True)), strict=True))
        if self._clients_max is not None:
            about["max_connections"] = self._clients_max
        return about

    async def __aenter__(self: S) -> S:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
