"""Observes a proxy while it serves, from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from .._engine.snapshots import Snapshot
from ..errors import ConfigError
from ..policy import Plan, Supervisor
from ..policy.fingerprint import fingerprint
from ..runtime.interfaces import Clock, Journal

if TYPE_CHECKING:
    from .hooks import Deliveries
    from .observation import Observation, Observed
    from .prometheus import MetricsServer

__all__ = ("Observer", "serve_metrics")

# A loop that does not answer in this time hangs.
ANSWER_TIMEOUT_S = 5.0


class Observer:
    """Observes the servers of the supervisor on `loop`; the other reports are of all engines.

    `journal_file` returns the size, the errors and the completeness of the journal file, None without one;
    `deliveries` the counts of each hook.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        supervisor: Supervisor,
        snapshot: Callable[[], Snapshot],
        journals: Callable[[], Mapping[str, Journal]],
        standins: Callable[[], Mapping[str, tuple[int, int]]],
        journal_file: Callable[[], tuple[int, int, bool] | None] = lambda: None,
        deliveries: Callable[[], Mapping[str, Deliveries]] = dict,
    ) -> None:
        self.is_serving = False
        self.failed_reloads = 0
        self._loop = loop
        self._clock = clock
        self._thread = threading.get_ident()
        self._supervisor = supervisor
        self._snapshot = snapshot
        self._journals = journals
        self._standins = standins
        self._journal_file = journal_file
        self._deliveries = deliveries
        self._started_at = self._clock.wall()
        self._plan: Plan | None = None

    def observe(self) -> Observation:
        """The state of the proxy; any thread may ask. Threads other than the loop's wait for its next turn.

        Raises TimeoutError if that takes 5 s, RuntimeError if the loop is closed.
        """
        if threading.get_ident() == self._thread:
            return self._look()
        seen: Future[Observation] = Future()
        self._loop.call_soon_threadsafe(self._answer, seen)
        return seen.result(ANSWER_TIMEOUT_S)

    def _look(self) -> Observation:
        # Imported late: a proxy that nobody observes does without the table of metrics.
        from .observation import Observation  # noqa: PLC0415

        self._note_plan()
        return Observation(
            self._snapshot(),
            self._supervisor.servers(self._clock.now()),
            self._supervisor.pools(self._clock.now()),
            self._members,
            self._fingerprint,
            self._started_at,
            self._installed_at,
            self.failed_reloads,
            self.is_serving,
            {name: (len(journal), journal.overflows) for name, journal in self._journals().items()},
            self._standins(),
            self._journal_file(),
            self._deliveries(),
        )

    def reloaded(self) -> None:
        """Call after a reload, also of the same plan."""
        self._plan = None
        self._note_plan()

    def _answer(self, seen: Future[Observation]) -> None:
        try:
            seen.set_result(self._look())
        except Exception as error:
            seen.set_exception(error)

    def _note_plan(self) -> None:
        # Once per plan: the description of a thousand servers takes milliseconds.
        if self._plan is not self._supervisor.plan:
            self._plan = self._supervisor.plan
            self._fingerprint = fingerprint(self._plan)
            self._members = {
                pool.name: tuple(server.name for server in pool.servers) for pool in self._plan.named_pools
            }
            self._installed_at = self._clock.wall()


def serve_metrics(observed: Observed, host: str, port: int) -> MetricsServer:
    """Serves /metrics in threads of its own, until the returned server is closed; port 0 takes a free one.

    Raises ConfigError without prometheus-client, OSError if it cannot listen.
    """
    try:
        from .prometheus import MetricsServer  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "proxy.metrics", "needs prometheus-client: pip install 'mcroute-engine[proxy]'"
        ) from None
    try:
        return MetricsServer(observed, host, port)
    except OSError as error:
        raise OSError(error.errno, f"metrics at {host}:{port}: {error.strerror}") from None
