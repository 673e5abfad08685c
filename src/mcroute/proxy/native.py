"""The native proxy inside any Python process, with or without an event loop of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from ..observe.observation import Observation
from ..policy import Limits, Plan, Route, SupervisorSettings, compile_plan
from ..runtime.routing import FirstUse
from .descriptors import Descriptors
from .native_service import NativeService, default_threads
from .state_file import lent_state

if TYPE_CHECKING:
    from ..observe.hooks import Hook

__all__ = ("Proxy",)

T = TypeVar("T")


class Proxy:
    """A proxy in threads of this process. A context manager; or call `start` and `stop`.

    `threads` threads (default: one per core, at most 4) serve clients without the interpreter; another thread
    supervises the servers. `route` is a route or a compiled plan. The proxy listens on `host` and `port`
    (0: a free one, see the attribute `port`), or on a unix socket at `path`. `metrics` is a host and a port
    for Prometheus; `limits` bounds memory and values.

    `state_file` is a path: the file records which servers missed writes, for this proxy and the next one.
    Servers that the file does not list are flushed before use if `first_use` is "flush". `journal_file`,
    another path, needs a state file: it keeps the keys that servers missed, so that the next proxy need not
    flush these servers. `descriptors` is the number of descriptors that the proxy may have open at once: the
    proxy reserves those for connections to servers, and further clients wait. `hooks` are functions: each is
    called with each `StateChange` of a server or pool, in a thread of its own.

    Methods may be called from any thread, one at a time. Linux only.
    """

    def __init__(
        self,
        route: Route | Plan,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        path: str = "",
        threads: int | None = None,
        settings: SupervisorSettings | None = None,
        limits: Limits | None = None,
        metrics: tuple[str, int] | None = None,
        rng: Random | None = None,
        state_file: str | os.PathLike[str] | None = None,
        first_use: FirstUse = "trust",
        journal_file: str | os.PathLike[str] | None = None,
        descriptors: int | None = None,
        hooks: Sequence[Hook] = (),
    ) -> None:
        self.plan: Plan = _plan(route)
        self.port: int = port
        self._where = (host, port, path, metrics)
        self._threads = threads or default_threads()
        self._how = (settings, limits, rng, first_use)
        self._files = (state_file, journal_file)
        self._descriptors = descriptors
        self._hooks = hooks
        self._supervisor: threading.Thread | None = None
        self._pid = 0

    def __repr__(self) -> str:
        where = self._where[2] or f"port {self.port}"
        running = "running" if self._supervisor is not None and self._pid == os.getpid() else "not running"
        return f"<Proxy on {where}: {running}, {self._threads} threads, {len(self.plan.servers)} servers>"

    def start(self) -> None:
        """Returns when clients can connect.

        Raises OSError if the address or a file is not available, ConfigError for too few descriptors,
        ValueError for a journal file without a state file, RuntimeError if the proxy is running.
        """
        if self._supervisor is not None:
            raise RuntimeError("the proxy is already running")
        started: Future[None] = Future()
        self._pid = os.getpid()
        self._supervisor = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="mcroute-supervisor", daemon=True
        )
        self._supervisor.start()
        try:
            started.result()
        except BaseException:
            self._supervisor.join()
            self._supervisor = None
            raise
        # A process that ends without stop() still answers pending requests.
        atexit.register(_stop, weakref.ref(self))

    async def _serve(self, started: Future[None]) -> None:
        settings, limits, rng, first_use = self._how
        host, port, path, metrics = self._where
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        try:
            descriptors = self._bound(metrics is not None)
            with lent_state(*self._files, limits) as state:
                self._service = NativeService(
                    self.plan,
                    threads=self._threads,
                    settings=settings,
                    limits=limits,
                    rng=rng,
                    state=state,
                    first_use=first_use,
                    descriptors=descriptors,
                    hooks=self._hooks,
                )
            await self._service.start(host, port, path=path, metrics=metrics)
        except BaseException as error:
            started.set_exception(error)
            return
        self.port = self._service.port
        started.set_result(None)
        await self._ended.wait()

    def _bound(self, has_metrics: bool) -> Descriptors | None:
        if self._descriptors is None:
            return None
        descriptors = Descriptors(self._descriptors, 0, self._threads, has_metrics)
        # Checked before anything is opened.
        descriptors.clients_max(self.plan)
        return descriptors

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._supervisor:
            work.close()
            raise RuntimeError("the supervising thread, which runs routes in Python, cannot wait for itself")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _check(self) -> None:
        if self._supervisor is None:
            raise RuntimeError("the proxy is not running")
        if self._pid != os.getpid():
            raise RuntimeError("the proxy is running in the parent process, from which this one was forked")

    def stats(self) -> Observation:
        """Counters, latencies and states at this moment. RuntimeError if the proxy is not running."""
        self._check()
        return self._service.observe()

    # The name that `ProxyCollector` needs.
    observe = stats

    def reload(self, route: Route | Plan, *, settings: SupervisorSettings | None = None) -> None:
        """Switches to another plan, and to these settings if given; no client is disconnected.

        Requests that arrive after the return use the plan. RuntimeError if the proxy is not running.
        """
        self._check()
        plan = _plan(route)
        self._do(self._service.reload(plan, settings=settings))
        self.plan = plan

    def stop(self, limit_s: float = 5.0) -> None:
        """Takes no more requests, answers pending ones for at most `limit_s` seconds, then closes.

        Without effect if the proxy is not running, or is running in the parent process.
        """
        if self._supervisor is None or self._pid != os.getpid():
            return
        self._do(self._service.close(limit_s))
        self._loop.call_soon_threadsafe(self._ended.set)
        self._supervisor.join()
        self._supervisor = None

    def __enter__(self) -> Proxy:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _plan(route: Route | Plan) -> Plan:
    return route if isinstance(route, Plan) else compile_plan(route)


def _stop(proxy: weakref.ref[Proxy]) -> None:
    if (running := proxy()) is not None:
        running.stop()
