"""Servers that fail and return: passes reports to `Supervisor`, and carries out its decisions.

A server that was away may hold stale values. It is probed; fenced, so that no earlier request of ours can
still be executed; if it missed writes, their keys are deleted, or it is flushed; and only then serves.
Commands to servers use short separate connections, in threads of a pool; everything else runs in the driver's
thread.
"""

from __future__ import annotations

import logging
import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from mcroute import Engine
from mcroute.policy import (
    Cause,
    Decision,
    Fence,
    Flush,
    Kinship,
    PanicChanged,
    Plan,
    Probe,
    Process,
    Reason,
    Replay,
    Seen,
    Server,
    ServerState,
    ServerStats,
    SetState,
    State,
    Supervisor,
    kinship,
)

if TYPE_CHECKING:
    from driver import Link

# Less than HealthSettings.stage_timeout_s, so that each stage ends with a report.
TIMEOUT_S = 2.0
# The number of keys that are deleted with one connection.
KEYS_AT_ONCE = 1000

log = logging.getLogger("supervision")


class Supervision:
    """The driver calls `connected`, `connect_failed` and `link_lost` on these events, and `turn` each turn.

    `links` are by server id. `call_soon` calls a function in the driver's thread, from any thread.
    """

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        links: Mapping[int, Link],
        call_soon: Callable[[Callable[[], None]], None],
    ) -> None:
        self.supervisor = Supervisor(plan, Random())
        self._engine = engine
        self._servers = {engine.server_ids()[server.name]: server for server in plan.servers}
        self._links = links
        self._call_soon = call_soon
        self._threads = ThreadPoolExecutor(8)
        self._stages = dict.fromkeys(self._servers, 0)  # counted: answers to earlier stages are ignored
        self._fences: dict[int, Fence] = {}  # fences that wait for the server's link
        self._alarms = 0
        # Writes that the server had missed when its link was lost; until it is connected again.
        self._missed_before = dict.fromkeys(self._servers, 0)
        self._carry_out(())

    # ---- what the driver says ----

    def connected(self, server: int) -> None:
        self.supervisor.connected(server)
        missed = self._engine.missed_writes(server)
        is_behind = missed > self._missed_before.pop(server, missed)
        if is_behind and self.supervisor.state(server) is State.UP:
            # It stayed as the last one of its pool; now that others may serve, it goes out, and returns in
            # order.
            self._failed(self.supervisor.tripped, server, Reason(Cause.KEPT))

    def connect_failed(self, server: int) -> None:
        self._failed(self.supervisor.connect_failed, server)

    def link_lost(self, server: int, address: str, writes: int) -> bool:
        """Returns whether the server stays in service, over its next connection."""
        self._missed_before.setdefault(server, self._engine.missed_writes(server))
        self.supervisor.link_lost(server, address, writes)
        self._look_for_trips()
        if writes:
            self._failed(self.supervisor.tripped, server, Reason(Cause.LOST_WRITES))
        return self.supervisor.state(server) is State.UP

    def turn(self) -> None:
        alarms = self._engine.alarms()
        if alarms != self._alarms:
            self._alarms = alarms
            self._look_for_trips()
        if time.monotonic() >= self.next_wakeup():
            self._carry_out(self.supervisor.tick(time.monotonic()))
        for server in tuple(self._fences):
            self._fence(server)

    def next_wakeup(self) -> float:
        due = self.supervisor.next_wakeup()
        return math.inf if due is None else due

    def stats(self) -> bytes:
        """The answer to a client's `stats`."""
        states = {server.name: self.supervisor.state(number) for number, server in self._servers.items()}
        rows = (f"STAT {name} {state.name}\r\n" for name, state in states.items())
        return "".join(rows).encode() + b"END\r\n"

    # ---- what the engine has found out ----

    def _look_for_trips(self) -> None:
        """The engine ejects failing servers by itself, or would have without `keep`."""
        tripped = [server for server in self.supervisor.serving if self._has_tripped(server)]
        # Servers that may hold stale values first: of several servers, the last one stays.
        for server in sorted(tripped, key=self._engine.is_stale, reverse=True):
            if self._has_tripped(server):
                self._failed(self.supervisor.tripped, server)

    def _has_tripped(self, server: int) -> bool:
        is_out = self._engine.server_state(server) != ServerState.UP
        return self.supervisor.state(server) is State.UP and (is_out or self._engine.is_spared(server))

    def _failed(self, report: Callable[..., Sequence[Decision]], server: int, *reason: Reason) -> None:
        """Reports a failure, which may restore other servers, but none that the engine knows to be stale."""
        for stale in tuple(filter(self._engine.is_stale, self.supervisor.unsuspicious)):
            self.supervisor.stale(stale)
        self._carry_out(report(server, time.monotonic(), *reason))

    # ---- what the supervisor decides ----

    def _carry_out(self, decisions: Sequence[Decision]) -> None:
        touched = self.supervisor.take_touched()
        protected = set(filter(self.supervisor.is_protected, touched))
        # Protects the old and the new last server while decisions are applied.
        for server in protected:
            self._engine.protect(server, True)
        for decision in decisions:
            self._carry_out_one(decision)
        for server in touched - protected:
            self._engine.protect(server, False)

    def _carry_out_one(self, decision: Decision) -> None:
        if isinstance(decision, PanicChanged):
            log.warning("pool %s: panic %s", decision.pool, "begins" if decision.is_panic else "ends")
        elif isinstance(decision, SetState):
            self._set_state(decision)
        else:
            server = decision.server
            self._stages[server] += 1
            self._fences.pop(server, None)
            if isinstance(decision, Probe):
                self._ask(server, look, self._probed)
            elif isinstance(decision, Fence):
                self._fences[server] = decision
                self._links[server].retry_now()
            elif isinstance(decision, Replay):
                self._engine.journal(server).begin()
                self._replay(server, 0)
            elif isinstance(decision, Flush):
                known, delay_s = self.supervisor.process(server), decision.delay_s
                self._ask(server, lambda server: flush(server, known, delay_s), self._flushed)
            else:
                self._ask(server, look, self._flushed)

    def _set_state(self, decision: SetState) -> None:
        server, state = decision.server, decision.state
        self._engine.set_server_state(server, state, decision.missed, decision.unless_stale)
        if self._engine.server_state(server) != state:
            # Not at once: further decisions of the supervisor must be carried out before.
            self._call_soon(self._look_for_trips)
        elif state is ServerState.UP:
            self._links[server].retry_now()
        log.info("server %s is %s", self._servers[server].name, state.name)

    # ---- the stages of a return ----

    def _ask(
        self, server: int, question: Callable[[Server], Any], report: Callable[[int, Any], None]
    ) -> None:
        """Reports the answer, or None without one, unless the stage has ended meanwhile."""
        stage = self._stages[server]

        def heard(answer: Any) -> None:
            if self._stages[server] == stage:
                report(server, answer)

        def ask() -> None:
            try:
                answer = question(self._servers[server])
            except (OSError, ValueError) as error:
                log.info("server %s: %s", self._servers[server].name, error)
                answer = None
            self._call_soon(lambda: heard(answer))

        self._threads.submit(ask)

    def _is_trusted(self, server: int, seen: Seen | None) -> bool:
        """False if another memcached has taken the server's address: that one must not be flushed."""
        return seen is not None and self.supervisor.identified(server, seen) is not Kinship.FOREIGN

    def _probed(self, server: int, seen: Seen | None) -> None:
        is_well = self._is_trusted(server, seen)
        report = self.supervisor.probe_answered if is_well else self.supervisor.probe_failed
        self._carry_out(report(server, time.monotonic()))

    def _fence(self, server: int) -> None:
        """Waits for an answer to every request on the link, then for the end of the lost links."""
        link = self._links[server]
        is_settled = link.is_ready and self._engine.unanswered(link.number) == 0
        if self.supervisor.state(server) is not State.FENCING:
            # Timeout: other connections get answers, this one does not. Closing it settles its requests.
            del self._fences[server]
            if link.is_ready and not is_settled:
                link.close()
        elif is_settled:
            lost, own = self._fences.pop(server).connections, link.address
            if lost:
                self._ask(server, lambda server: still_listed(server, lost, own), self._fenced)
            else:
                self._fenced(server, (lost, False))

    def _fenced(self, server: int, answer: tuple[frozenset[str], bool] | None) -> None:
        now = time.monotonic()
        if answer is None:
            self._carry_out(self.supervisor.fence_failed(server, now))
            return
        listed, is_blind = answer
        self._report_missed(server)
        self._carry_out(self.supervisor.fence_answered(server, listed, now, is_blind))

    def _report_missed(self, server: int) -> None:
        missed = self._engine.missed_writes(server)
        is_named = not self._engine.journal(server).is_overflowed
        self.supervisor.missed_writes(server, missed, time.monotonic(), is_named=is_named)

    def _replay(self, server: int, deleted: int) -> None:
        """Deletes the next keys that the server missed; `deleted` keys are deleted already."""
        journal, known, now = self._engine.journal(server), self.supervisor.process(server), time.monotonic()
        if journal.is_overflowed or not self.supervisor.replays(server, now):
            self._replay_failed(server)
        elif requests := journal.take(KEYS_AT_ONCE):
            total = deleted + len(requests)
            self._ask(
                server,
                lambda server: delete(server, known, requests),
                lambda server, done: self._replay(server, total) if done else self._replay_failed(server),
            )
        else:
            # Nothing can be missed between the two: the engine restores the server, and counts, in one step.
            is_restored = self.supervisor.may_serve(server, now)
            missed = journal.settle(is_restored)
            assert missed is not None
            decisions = self.supervisor.replayed(server, missed, deleted, now, is_restored=is_restored)
            self._carry_out(decisions)

    def _replay_failed(self, server: int) -> None:
        self._report_missed(server)
        self._carry_out(self.supervisor.replay_failed(server, time.monotonic()))

    def _flushed(self, server: int, seen: Seen | None) -> None:
        now = time.monotonic()
        if seen is None or not self._is_trusted(server, seen):
            self._carry_out(self.supervisor.flush_failed(server, now))
            return
        self._report_missed(server)
        flushes = self.supervisor.tally(server).flushes
        decisions = self.supervisor.flush_answered(server, seen.stats, now)
        if self.supervisor.tally(server).flushes > flushes:
            # The server is empty: what it missed before is settled.
            self._engine.journal(server).clear()
        self._carry_out(decisions)


# ---- questions, each on a connection of its own; they raise OSError or ValueError ----


class Stream(Protocol):
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...
    def readline(self, size: int, /) -> bytes: ...


def look(server: Server) -> Seen:
    """The server's `stats`."""
    with _connect(server) as sock, sock.makefile("rwb") as file:
        return _look(file)


def delete(server: Server, known: Process | None, requests: Sequence[bytes]) -> bool:
    """Sends these deletes to the server, if it is the known process. True when it has executed all."""
    with _connect(server) as sock, sock.makefile("rwb") as file:
        if kinship(known, _look(file)) is not Kinship.SAME:
            raise ConnectionError("another process than before answers")
        for request in requests:
            if _say(file, request.rstrip()) not in (b"DELETED\r\n", b"NOT_FOUND\r\n", b"HD\r\n", b"NF\r\n"):
                raise ConnectionError(f"{request!r} is refused")
        return True


def flush(server: Server, known: Process | None, delay_s: int) -> Seen:
    """Flushes the server, if it is the known process, and then reads its `stats`."""
    with _connect(server) as sock, sock.makefile("rwb") as file:
        if kinship(known, _look(file)) is Kinship.FOREIGN:
            raise ConnectionError("another memcached than before answers")
        commands = [b"flush_all %d" % delay_s] if delay_s else []
        for command in (*commands, b"flush_all"):
            if _say(file, command) == b"OK\r\n":
                return _look(file)
        raise ConnectionError("flush_all is refused")


def still_listed(server: Server, lost: frozenset[str], own: str) -> tuple[frozenset[str], bool]:
    """The lost connections that the server still lists, by their ports; and whether its list is useless.

    A new link may have the port of a lost one, which then no longer exists.
    """
    with _connect(server) as sock, sock.makefile("rwb") as file:
        rows = _stats(file, b"stats conns")
        ends = (value for name, value in rows.items() if name.endswith(b":addr"))
        listed = {end.rpartition(b":")[2].decode() for end in ends}
        if str(sock.getsockname()[1]) not in listed:
            return lost, True
        return (lost & listed) - {own}, False


def _connect(server: Server) -> socket.socket:
    return socket.create_connection((server.host, server.port), TIMEOUT_S)


def _say(file: Stream, command: bytes) -> bytes:
    file.write(command + b"\r\n")
    file.flush()
    return file.readline(4096)


def _stats(file: Stream, command: bytes) -> dict[bytes, bytes]:
    rows = {}
    line = _say(file, command)
    while line.startswith(b"STAT "):
        name, _, value = line[5:].rstrip(b"\r\n").partition(b" ")
        rows[name] = value
        line = file.readline(4096)
    if line != b"END\r\n":
        raise ConnectionError(f"the server answers {line!r} to {command!r}")
    return rows


def _look(file: Stream) -> Seen:
    asked_at = time.monotonic()
    said = _stats(file, b"stats"), _stats(file, b"stats settings")
    return Seen(ServerStats.of(*said), asked_at, time.monotonic())
