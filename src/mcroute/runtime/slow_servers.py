"""Reads the engine's counters of late replies and of retries that the budget refused."""

from __future__ import annotations

from ..policy import Condition
from .announcements import Announcements
from .interfaces import Timer
from .server_log import ServerLog
from .supervised import Supervised

__all__ = ("SlowServers",)


class SlowServers:
    """Reports slow servers to the supervisor and to the log."""

    def __init__(self, supervised: Supervised, lines: ServerLog, changes: Announcements) -> None:
        self._supervised = supervised
        self._lines = lines
        self._changes = changes
        self._counted: dict[int, tuple[int, int]] = {}  # the engine's counters at the last look
        self._passed_over: set[int] = set()  # servers whose next difference is ignored
        self._timer: Timer | None = None

    def reset(self, number: int) -> None:
        """The id is another server's from now on."""
        self._counted.pop(number, None)
        self._passed_over.discard(number)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def look_soon(self) -> None:
        """Looks after a short delay, once for many events: a look reads the counters of all servers."""
        if self._timer is None and not self._supervised.is_closed:
            delay_s = self._supervised.upkeep.slow_look_s
            self._timer = self._supervised.clock.call_later(delay_s, self._look_now)

    def _look_now(self) -> None:
        self._timer = None
        self.look()

    def look(self) -> None:
        """Reads the counters, which change once a second at most."""
        supervised, now = self._supervised, self._supervised.clock.now()
        slowness = supervised.engine.slowness()
        for server in self._passed_over:
            self._counted[server] = slowness.get(server, (0, 0))
        self._passed_over.clear()
        for server, (late, refused) in slowness.items():
            if server not in supervised.servers:
                continue
            late_before, refused_before = self._counted.get(server, (0, 0))
            self._counted[server] = (late, refused)
            if late > late_before:
                was_up = supervised.supervisor.condition(server, now) is Condition.UP
                supervised.supervisor.slow(server, now)
                if was_up:
                    self._changes.slow(server)
            if refused > refused_before:
                self._lines.retries_refused(server, now, refused)

    def pass_over(self, server: int) -> None:
        """Ignores late replies up to now: the server was out of service."""
        self._passed_over.add(server)
        self.look_soon()
