"""Logs what was refused or read past without a server's failure: few lines of each kind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from .._engine.losses import Losses, ServerDesync
from .._engine.snapshots import Snapshot
from ..policy import Upkeep
from .interfaces import Clock, Timer

__all__ = ("LossLog",)

# The kinds of lines about clients of another protocol.
OTHER_PROTOCOLS = frozenset(("refused_binary", "refused_tls", "refused_resp", "refused_ssh"))

LINES = {
    "refused_memory": "%d requests refused: the memory for requests or for links is exhausted",
    "closed_memory": "%d clients closed: most unread replies, or half a line, while memory was exhausted",
    "refused_binary": "%d connections refused: their clients speak the binary protocol; "
    "docs/clients.md has the text-protocol setting of each client",
    "refused_tls": "%d connections refused: their clients speak TLS; "
    "mcroute speaks memcached's text protocol without TLS",
    "refused_resp": "%d connections refused: their clients speak RESP, the protocol of Redis",
    "refused_ssh": "%d connections refused: their clients speak SSH",
}
SERVER_LINES = {
    "discarded_memory": "server %s: %d values discarded: the memory for replies is exhausted",
    "too_large": "server %s: %d values discarded: they are larger than value_max",
}

log: logging.Logger = logging.getLogger("mcroute")


class LosingEngine(Protocol):
    def losses(self) -> Losses: ...

    def take_desyncs(self) -> list[ServerDesync]: ...

    def snapshot(self) -> Snapshot: ...


class LossLog:
    """Reads an engine's counters once in a while. `name_of` returns the name of a server's id."""

    def __init__(
        self,
        engine: LosingEngine,
        clock: Clock,
        name_of: Callable[[int], str],
        upkeep: Upkeep | None = None,
    ) -> None:
        upkeep = upkeep or Upkeep()
        self._intervals = upkeep.log
        self._look_s = upkeep.losses_look_s
        self._engine = engine
        self._clock = clock
        self._name_of = name_of
        self._logged = Losses(*[0] * len(Losses._fields))
        self._logged_of: dict[str, dict[str, int]] = {}  # counts at the last line, by kind and server
        self._quiet_until: dict[str | int, float] = {}
        self._pending: dict[int, ServerDesync] = {}  # the first of each server, with the count of all
        self._timer: Timer | None = None

    def begin(self) -> None:
        self._timer = self._clock.call_later(self._look_s, self._look_again)

    def close(self) -> None:
        """Writes the lines that are left."""
        if self._timer is not None:
            self._timer.cancel()
            self._quiet_until.clear()
            self.look()

    def _look_again(self) -> None:
        self.begin()
        try:
            self.look()
        except RuntimeError:
            # A thread hangs, which its driver logs.
            return

    def look(self) -> None:
        seen = self._engine.losses()
        for kind, line in LINES.items():
            lost = getattr(seen, kind) - getattr(self._logged, kind)
            if lost and self._may_log(kind):
                self._logged = self._logged._replace(**{kind: getattr(seen, kind)})
                log.warning(line, lost)
        for kind, line in SERVER_LINES.items():
            if getattr(seen, kind) != getattr(self._logged, kind) and self._may_log(kind):
                self._logged = self._logged._replace(**{kind: getattr(seen, kind)})
                self._log_servers(kind, line)
        if seen.desyncs != self._logged.desyncs:
            self._logged = self._logged._replace(desyncs=seen.desyncs)
            self._gather()
        for server in [server for server in self._pending if self._may_log(server)]:
            self._log_desync(self._pending.pop(server))

    def _log_servers(self, kind: str, line: str) -> None:
        servers = self._engine.snapshot().servers
        logged = self._logged_of.get(kind, {})
        self._logged_of[kind] = {name: server.counters[kind] for name, server in servers.items()}
        for name, count in self._logged_of[kind].items():
            # A smaller count is that of another server with the same name.
            before = logged.get(name, 0)
            if lost := count - before if count >= before else count:
                log.warning(line, name, lost)

    def _gather(self) -> None:
        for desync in self._engine.take_desyncs():
            known = self._pending.get(desync.server)
            times = desync.times + (known.times if known else 0)
            self._pending[desync.server] = (known or desync)._replace(times=times)

    def _may_log(self, what: str | int) -> bool:
        now = self._clock.now()
        if now < self._quiet_until.get(what, 0.0):
            return False
        intervals = self._intervals
        is_lasting = what in OTHER_PROTOCOLS
        self._quiet_until[what] = now + (intervals.other_protocols_s if is_lasting else intervals.losses_s)
        return True

    def _log_desync(self, desync: ServerDesync) -> None:
        log.warning(
            "server %s is out of step (%d times): it says %r to %s, with %d requests unanswered",
            self._name_of(desync.server),
            desync.times,
            desync.text,
            desync.command or "nothing",
            desync.depth,
        )
