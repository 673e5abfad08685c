"""Announces changes of servers' and pools' states: to the log, and to listeners."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..policy import Change, Condition, HitsFell, PoolState, Reason, State, StateChange
from ..policy.causes import FlushCause
from ..policy.reports import Tally
from ..policy.warming import Stop
from .log_limit import LogLimit
from .supervised import Supervised

__all__ = ("Announcements", "Listener")

# The number of servers that one line names.
NAMES_LOGGED = 5

# Called on the supervisor's loop: must neither wait nor raise.
Listener = Callable[[StateChange], None]

log: logging.Logger = logging.getLogger("mcroute")

# Of the other changes, DEBUG: they are the steps of a return, and the line about its end says what was done.
_LEVELS: dict[Change, int] = {
    Change.OUT_OF_SERVICE: logging.WARNING,
    Change.RETURNED: logging.WARNING,
    Change.SLOW: logging.WARNING,
    Change.HITS_FELL: logging.WARNING,
    Change.WARMING: logging.INFO,
    Change.WARMED: logging.INFO,
    Change.WARMING_STOPPED: logging.WARNING,
    Change.PANIC_BEGINS: logging.WARNING,
    Change.PANIC_ENDS: logging.WARNING,
}

_STAGES: dict[Condition, tuple[Change, str]] = {
    Condition.PROBING: (Change.PROBING, "is probed"),
    Condition.FENCING: (Change.FENCING, "answers; its earlier requests are awaited"),
    Condition.REPLAYING: (Change.REPLAYING, "has missed writes, whose keys are being deleted there"),
    Condition.FLUSHING: (Change.FLUSHING, "is being flushed"),
}


@dataclass(frozen=True, slots=True)
class _Absence:
    """A server that is out of service: since when (the supervisor's clock), its counts then, and why."""

    since: float
    tally: Tally
    reason: Reason | None


class Announcements:
    """Makes a `StateChange` of each change. Call the methods in the order of the changes.

    The log's record has the change as its attribute `state_change`.
    """

    def __init__(self, supervised: Supervised) -> None:
        self._supervised = supervised
        self.listeners: list[Listener] = []
        self._out: dict[int, _Absence] = {}
        self._states: dict[int, Condition] = {}  # after the last change
        self._repeats = LogLimit(supervised.upkeep.log.repeated_step_s)

    def is_out(self, server: int) -> bool:
        """Whether the server was announced as out of service."""
        return server in self._out

    # ---- in and out of service ----

    def goes_out(self, server: int, reason: Reason | None) -> None:
        """The engine skips the server, from now on or still."""
        if server in self._out:
            self._waits(server, reason)
            return
        supervisor = self._supervised.supervisor
        self._out[server] = _Absence(self._supervised.clock.now(), supervisor.tally(server).copy(), reason)
        for step in Change:
            self._repeats.reset((server, step))
        figures = {
            "ejections_in_a_row": supervisor.ejections_in_a_row(server),
            "servers_up": len(supervisor.serving),
            "servers": len(self._supervised.servers),
        }
        self._announce(Change.OUT_OF_SERVICE, server, f"is out of service: {reason}", reason, figures)

    def _waits(self, server: int, reason: Reason | None) -> None:
        """A stage has ended, and the server does not serve. Probes fail again and again, without a word."""
        if self._supervised.supervisor.state(server) is not State.EJECTED:
            return
        before, after = self._states[server], self._condition(server)
        if after is Condition.DOWN and before is not after:
            self._announce(Change.WAITING, server, f"does not serve yet: {reason}", reason)
        elif before in _STAGES.keys() - {Condition.PROBING}:
            self._announce_step(Change.WAITING, server, "does not serve yet", self._out[server].reason)

    def stage_begins(self, server: int) -> None:
        """A probe, fence, replay or flush begins. Another attempt of the same stage is no change."""
        condition = self._condition(server)
        if condition not in _STAGES or condition is self._states.get(server):
            return
        what, doing = _STAGES[condition]
        cause: Reason | FlushCause | None = self._out[server].reason if server in self._out else None
        if what is Change.FLUSHING:
            cause = self._supervised.supervisor.flush_cause(server)
        self._announce_step(what, server, doing, cause)

    def replayed(self, server: int, keys: int) -> None:
        """So many keys were deleted from the server: all in its journal."""
        text = f"has missed writes of {keys} keys, which were deleted there"
        stage = Condition.REPLAYING
        self._announce(Change.REPLAYED, server, text, None, {"deleted_keys": keys}, (stage, stage))

    def flushed(self, server: int) -> None:
        """The server is certainly empty."""
        cause = self._supervised.supervisor.flush_cause(server)
        stage = Condition.FLUSHING
        self._announce(Change.FLUSHED, server, "is flushed", cause, {}, (stage, stage))

    def serves_again(self, server: int) -> None:
        """The engine asks the server again. Call only if `is_out`."""
        absence, supervisor = self._out.pop(server), self._supervised.supervisor
        tally, out_s = supervisor.tally(server), self._supervised.clock.now() - absence.since
        keys = tally.replayed_keys - absence.tally.replayed_keys
        flushes = tally.flushes - absence.tally.flushes
        why = supervisor.flush_cause(server)
        if flushes:
            what = f"flushed: {why.value}" if why is not None else "flushed"
        elif keys:
            what = f"not flushed: it had missed writes of {keys} keys, which were deleted there"
        else:
            what = "not flushed: it missed no write"
        figures = {"out_s": round(out_s, 3), "deleted_keys": keys, "flushes": flushes}
        text = f"serves again after {out_s:.1f} s, {what}"
        self._announce(Change.RETURNED, server, text, absence.reason, figures)

    def leave(self, servers: Iterable[int]) -> None:
        """Another plan does not have these servers. Call before their ids get other names."""
        for server in servers:
            state = self._states.get(server, Condition.UP)
            if (absence := self._out.pop(server, None)) is not None:
                text = "was removed from the configuration while it was out of service"
                self._announce(Change.REMOVED, server, text, absence.reason, {}, (state, state))
            self._states.pop(server, None)

    # ---- while it serves ----

    def slow(self, server: int) -> None:
        """Call when the supervisor knows that the server is slow."""
        self._announce(Change.SLOW, server, "is slow: its replies take longer than reply_timeout_s")

    def hits_fell(self, fallen: HitsFell) -> None:
        text = f"has fewer hits than the other servers of its pool: {fallen}; it may have lost its items"
        figures = {
            "hit_share": round(fallen.share, 4),
            "reads": fallen.reads,
            "others_hit_share": round(fallen.others, 4),
            "hit_share_before": round(fallen.before, 4),
        }
        self._announce(Change.HITS_FELL, fallen.server, text, None, figures)

    def warming(
        self, what: Change, server: int, text: str, figures: Mapping[str, float], why: Stop | None = None
    ) -> None:
        """A server that came back empty is filled, or is filled no more. `text` follows its name."""
        self._announce(what, server, text, why, figures)

    # ---- pools ----

    def panic(self, pool: str, is_panic: bool) -> None:
        """Panic mode began or ended in the pool."""
        bad, size = self._supervised.supervisor.bad(pool)
        what, text = Change.PANIC_ENDS, f"pool {pool}: panic ends"
        before, after = PoolState.PANIC, PoolState.NORMAL
        if is_panic:
            before, after = after, before
            names = ", ".join(map(self._supervised.name, bad[:NAMES_LOGGED]))
            names += ", ..." * (len(bad) > NAMES_LOGGED)
            what, text = Change.PANIC_BEGINS, f"pool {pool}: panic begins: {len(bad)} of {size} servers"
            text += f" are out of service or have failed: {names}"
        figures = {"servers_bad": len(bad), "servers": size}
        at = self._supervised.clock.wall()
        self._tell(StateChange(what, at, "", (pool,), before, after, text, figures=figures))

    # ---- the values ----

    def _condition(self, server: int) -> Condition:
        return self._supervised.supervisor.condition(server, self._supervised.clock.now())

    def _announce_step(self, what: Change, server: int, text: str, cause: Reason | FlushCause | None) -> None:
        """A server that fails in every attempt to return takes the same steps several times a second."""
        if self._repeats.is_due((server, what), self._supervised.clock.now()):
            self._announce(what, server, text, cause)
        else:
            self._states[server] = self._condition(server)

    def _announce(
        self,
        what: Change,
        server: int,
        text: str,
        cause: Reason | FlushCause | Stop | None = None,
        figures: Mapping[str, float] | None = None,
        states: tuple[Condition, Condition] | None = None,
    ) -> None:
        """`text` follows the server's name. `states` are those before and after, else the present one."""
        if states is None:
            states = self._states.get(server, Condition.UP), self._condition(server)
        self._states[server] = states[1]
        name, supervisor = self._supervised.name(server), self._supervised.supervisor
        at, pools = self._supervised.clock.wall(), supervisor.pools_of(server)
        named = cause.cause if isinstance(cause, Reason) else cause
        reason = str(cause) if isinstance(cause, Reason) else cause.value if cause is not None else ""
        text = f"server {name} {text}"
        self._tell(StateChange(what, at, name, pools, *states, text, named, reason, figures or {}))

    def _tell(self, change: StateChange) -> None:
        log.log(_LEVELS.get(change.what, logging.DEBUG), "%s", change, extra={"state_change": change})
        for listener in self.listeners:
            listener(change)
