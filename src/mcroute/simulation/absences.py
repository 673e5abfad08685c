"""When servers were out of service for a router, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..policy import State
from ..policy.reports import Tally
from .routers import Router

__all__ = ("Absence", "Absences")


@dataclass(slots=True)
class Absence:
    """A time in which a router did not use a server, in seconds of the loop. None is its end if it lasts.

    `reason` is the text of its cause in the log. Before the server served again, the router has flushed it
    `flushes` times, and deleted `replayed_keys` keys whose writes it had missed.
    """

    router: str
    server: str
    begun_at: float
    reason: str
    ended_at: float | None = None
    flushes: int = 0
    replayed_keys: int = 0


class Absences:
    """Compares the states of a router's servers with those of the last look."""

    def __init__(self, time: Callable[[], float]) -> None:
        self.found: list[Absence] = []
        self._time = time
        self._open: dict[tuple[str, str], tuple[Absence, Tally]] = {}  # with the counts before

    def look(self, router: Router) -> None:
        """Call whenever the states of servers may have changed. A router without a process has no states."""
        supervision = router.supervision
        if supervision is None:
            return
        supervisor = supervision.supervisor
        reasons: Mapping[str, object] = supervisor.reasons()
        planned = {server.name for server in supervisor.plan.servers}
        for number, links in supervision.links.items():
            key = router.name, links.server.name
            if links.server.name not in planned:
                continue  # it has left with a reload
            is_out, tally = supervisor.state(number) is not State.UP, supervisor.tally(number)
            if is_out and key not in self._open:
                absence = Absence(*key, self._time(), str(reasons.get(links.server.name, "")))
                self.found.append(absence)
                self._open[key] = absence, tally.copy()
            elif not is_out and key in self._open:
                absence, before = self._open.pop(key)
                absence.ended_at = self._time()
                absence.flushes = _grown(before.flushes, tally.flushes)
                absence.replayed_keys = _grown(before.replayed_keys, tally.replayed_keys)


def _grown(before: int, now: int) -> int:
    """A router that was restarted counts from 0."""
    return now - before if now >= before else now
