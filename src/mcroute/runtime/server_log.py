"""Log lines about servers, beside those about changes of their states."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from ..policy import LogIntervals, Process, ServerStats, SupervisorSettings
from .log_limit import LogLimit

__all__ = ("ServerLog",)

log: logging.Logger = logging.getLogger("mcroute")


class ServerLog:
    """Writes one line for an event, and repeats lines about lasting states seldom.

    `name_of` returns the name of a server's id. `now` is the supervisor's clock.
    """

    def __init__(self, name_of: Callable[[int], str], intervals: LogIntervals | None = None) -> None:
        self._intervals = intervals or LogIntervals()
        self._name = name_of
        self._awaited_logs: dict[int, float] = {}  # by server: when the next line about its return is due
        self._failure_limit = LogLimit(self._intervals.failure_s)
        self._out_of_resources_limit = LogLimit(self._intervals.out_of_resources_s)
        self._refusal_limit = LogLimit(self._intervals.refused_retries_s)

    def reset(self, server: int) -> None:
        """The id is another server's from now on, whose lines the earlier ones do not limit."""
        self._refusal_limit.reset(server)

    def serves(self, server: int) -> None:
        """The server's return has ended."""
        self._awaited_logs.pop(server, None)

    # ---- what keeps it from serving ----

    def cannot_be_used(self, server: int, now: float, why: str, is_logged: bool) -> None:
        """Writes a line if the reason is a new one, unless `is_logged`: the line before has the reason."""
        kind = why.partition(":")[0]
        if self._failure_limit.is_due((server, kind), now) and not is_logged:
            log.warning("server %s cannot be used: %s", self._name(server), why)

    def out_of_resources(self, server: int, now: float) -> None:
        if self._out_of_resources_limit.is_due(server, now):
            log.error("no descriptor or memory is left for a connection to server %s", self._name(server))

    def is_foreign(self, server: int, stats: ServerStats, pid: int, seen_s_ago: float, pool: str) -> None:
        log.warning(
            "server %s is another memcached than before: pid %s, running for %s s, while pid %d answered "
            "here %.0f s ago; it is left alone (pools.%s.identity)",
            self._name(server),
            stats.pid,
            stats.uptime,
            pid,
            seen_s_ago,
            pool,
        )

    def are_one(self, server: int, other: int, process: Process | None) -> None:
        text = "servers %s and %s are one memcached%s: both stay in service, since no other one serves in "
        text += "their place, or they are in different pools"
        log.warning(text, self._name(server), self._name(other), f" ({process})" if process else "")

    # ---- its return ----

    def awaited(
        self,
        server: int,
        now: float,
        connections: frozenset[str],
        is_blind: bool,
        settings: SupervisorSettings,
    ) -> None:
        """The fence waits for the end of lost connections with writes."""
        if now < self._awaited_logs.setdefault(server, now + self._intervals.awaited_s):
            return
        self._awaited_logs[server] = now + self._intervals.awaited_again_s
        name, size = self._name(server), len(connections)
        if is_blind:
            text = "server %s does not list our connections: %d lost ones (%s) count as closed after %g s"
            log.warning(text, name, size, _some(connections), settings.fence_blind_s)
        else:
            text = "server %s still lists %d lost connections with writes (%s): awaited for at most %g s"
            log.warning(text, name, size, _some(connections), settings.fence_listed_s)

    def cannot_be_fenced(self, server: int, why: BaseException | str) -> None:
        log.warning("server %s cannot be fenced: %s", self._name(server), _reason(why))

    def cannot_be_replayed(self, server: int, why: BaseException | str) -> None:
        text = "server %s: keys whose writes it missed cannot be deleted there: %s"
        log.warning(text, self._name(server), _reason(why))

    def cannot_be_cleaned(self, server: int, now: float, why: BaseException | str) -> None:
        if self._failure_limit.is_due((server, "cleaning"), now):
            text = "server %s: keys that it took in the place of other servers cannot be deleted there: %s"
            log.warning(text, self._name(server), _reason(why))

    def is_cleaned(self, server: int, keys: int) -> None:
        text = "server %s: %d keys that it took in the place of other servers were deleted there"
        log.info(text, self._name(server), keys)

    def cannot_be_flushed(self, server: int, why: BaseException | str) -> None:
        log.warning("server %s cannot be flushed: %s", self._name(server), _reason(why))

    # ---- what it does slowly ----

    def retries_refused(self, server: int, now: float, count: int) -> None:
        if self._refusal_limit.is_due(server, now):
            log.warning(
                "server %s: the retry budget is spent; %d requests that timed out there were not sent to "
                "another copy so far",
                self._name(server),
                count,
            )


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")


def _reason(why: BaseException | str) -> str:
    """The text of an exception, or its class if it has none."""
    return str(why) or type(why).__name__
