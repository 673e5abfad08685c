"""The stages of a server's return, each a task: the probe, the fence, the replay, the flush."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from ..errors import RemoteProtocolError
from ..policy import (
    Decision,
    Fence,
    Flush,
    Flushing,
    FlushStep,
    Look,
    Place,
    Plan,
    Probe,
    Seen,
    Server,
    ServerStats,
    State,
)
from .announcements import Announcements
from .identities import Identities
from .interfaces import FAILURES, NO_PROCESS, OtherAddresses, OtherProcess, Task
from .server_log import ServerLog
from .supervised import Supervised
from .waiting import Slots

__all__ = ("Returns",)

# Deletes in one piece, of at most 270 bytes each.
KEYS_AT_ONCE = 1024


class Returns:
    """Carries out the stages of returns over `Control`, and reports the answers to the supervisor.

    `losses` counts the lost links of each server.
    """

    def __init__(
        self,
        supervised: Supervised,
        identities: Identities,
        lines: ServerLog,
        changes: Announcements,
        losses: Mapping[int, int],
    ) -> None:
        self._supervised = supervised
        self._clock = supervised.clock
        self._control = supervised.control
        self._upkeep = supervised.upkeep
        self._identities = identities
        self._lines = lines
        self._changes = changes
        self._losses = losses
        self._stages: dict[int, Task[None]] = {}  # the last one of each server, until it ends
        self._ending: set[Task[None]] = set()  # cancelled stages that have not ended
        # Each stage opens connections, in addition to the links.
        self._probing = Slots(self._clock, self._upkeep.probes_max)
        self._controlling = Slots(self._clock, self._upkeep.controls_max)

    def cancel(self) -> None:
        for task in self._stages.values():
            task.cancel()

    @property
    def tasks(self) -> list[Task[None]]:
        """The running stages, including cancelled ones that have not ended."""
        return [*self._stages.values(), *self._ending]

    def retain(self) -> None:
        """Cancels the stages of servers that are not supervised any more."""
        for server, task in self._stages.items():
            if server not in self._supervised.servers:
                task.cancel()

    # ---- one stage at a time ----

    def probe(self, decision: Probe) -> None:
        self._start(decision.server, self._probe(decision.server, decision.turn_max_s))

    def fence(self, decision: Fence) -> None:
        self._start(decision.server, self._fence(decision))

    def replay(self, server: int) -> None:
        self._start(server, self._replay(server))

    def flush(self, decision: Flush | Look) -> None:
        self._start(decision.server, self._flush(decision))

    def _start(self, server: int, stage: Coroutine[Any, Any, None]) -> None:
        """Cancels the server's stage before: its report would be about the wrong stage."""
        before = self._stages.pop(server, None)
        if before is not None:
            before.cancel()
            self._ending.add(before)
        task = self._stages[server] = self._clock.start(stage)
        task.add_done_callback(lambda task: self._ended(server, task))

    def _report(self, server: int, decisions: Sequence[Decision]) -> None:
        """Ends a stage. The next stage, which these decisions may start, does not cancel this one."""
        if (stage := self._stages.pop(server, None)) is not None:
            self._ending.add(stage)
        self._supervised.carry_out(decisions)

    def _ended(self, server: int, stage: Task[None]) -> None:
        self._ending.discard(stage)
        if self._stages.get(server) is stage:
            del self._stages[server]

    def _report_missed(self, server: int) -> None:
        self._supervised.report_missed(server)

    # ---- the probe ----

    async def _probe(self, server: int, turn_max_s: float | None) -> None:
        supervised = self._supervised
        supervisor, clock = supervised.supervisor, self._clock
        try:
            async with self._probing:
                if supervisor.state(server) is not State.PROBING:
                    # The stage timed out while it waited for a slot.
                    return
                asked_at, since = clock.lasting(), clock.now()
                probe = self._control.probe(supervised.servers[server])
                stats = await clock.within(self._upkeep.control_timeout_s, probe)
                is_quick = turn_max_s is None or await self._turn(server) <= turn_max_s
            supervised.abort_silent_links(server, since)
            is_trusted = self._identities.is_trusted(server, stats, asked_at)
            if is_trusted:
                await self._identities.compare(server)
                is_trusted = supervisor.original(server) is None
            is_trusted = is_trusted and is_quick
        except FAILURES:
            is_trusted = False
        if not is_trusted:
            self._report_missed(server)
            self._report(server, supervisor.probe_failed(server, clock.now()))
        else:
            self._report(server, supervisor.probe_answered(server, clock.now()))

    async def _turn(self, server: int) -> float:
        """The median time of a command. A server that has slow turns now and then may have a quick one."""
        asking = self._control.turns(self._supervised.servers[server], self._upkeep.turns)
        turns = sorted(await self._clock.within(self._upkeep.control_timeout_s, asking))
        return turns[len(turns) // 2]

    # ---- the fence ----

    async def _fence(self, decision: Fence) -> None:
        server, connections = decision.server, decision.connections
        supervised = self._supervised
        supervisor, clock = supervised.supervisor, self._clock
        links = supervised.links[server]
        if decision.awaits_departed and not await self._have_departed():
            self._lines.cannot_be_fenced(server, "links of removed servers are still open")
            self._report(server, supervisor.fence_failed(server, clock.now()))
            return
        try:
            await clock.within(self._upkeep.control_timeout_s, links.settled())
        except TimeoutError:
            # A connection without answers is closed, so that the next fence does not wait for it.
            links.abort_unsettled()
            limit_s = self._upkeep.control_timeout_s
            why = f"some connections to it could not be made, or did not answer, within {limit_s:g} s"
            self._lines.cannot_be_fenced(server, why)
            self._report(server, supervisor.fence_failed(server, clock.now()))
            return
        try:
            still_listed, is_blind = await self._still_listed(server, connections)
        except FAILURES as error:
            self._lines.cannot_be_fenced(server, error)
            self._report(server, supervisor.fence_failed(server, clock.now()))
            return
        self._report_missed(server)
        if still_listed:
            self._lines.awaited(server, clock.now(), still_listed, is_blind, supervisor.settings)
        decisions = supervisor.fence_answered(server, still_listed, clock.now(), is_blind)
        self._report(server, decisions)

    async def _have_departed(self) -> bool:
        """Waits for the end of removed servers' links. Returns False after the timeout."""
        ends_at = self._clock.now() + self._upkeep.control_timeout_s
        while self._supervised.links.keys() - self._supervised.servers.keys():
            if self._clock.now() >= ends_at:
                return False
            await self._clock.sleep(self._upkeep.retire_look_s)
        return True

    async def _still_listed(self, server: int, connections: frozenset[str]) -> tuple[frozenset[str], bool]:
        """Returns the lost connections that the server may still have, and whether the list is no proof."""
        if not connections:
            return connections, False
        if self._supervised.servers[server].path:
            return await self._still_of_process(server, connections), False
        try:
            async with self._controlling:
                asking = self._control.listed_connections(self._supervised.servers[server])
                listed = await self._clock.within(self._upkeep.control_timeout_s, asking)
        except OtherAddresses:
            return connections, True
        # An address that a new link has is no lost connection's any more.
        return (connections & listed) - self._supervised.links[server].addresses, False

    async def _still_of_process(self, server: int, connections: frozenset[str]) -> frozenset[str]:
        """The same for a unix socket, whose connections have no addresses: by their process and number."""
        links, losses = self._supervised.links[server], self._losses[server]
        count = links.connected
        async with self._controlling:
            asking = self._control.unix_connections(self._supervised.servers[server])
            process, listed = await self._clock.within(self._upkeep.control_timeout_s, asking)
        if process != NO_PROCESS:
            connections &= {process}
        # The list has all of our links. Without further connections, the lost ones are closed.
        are_all_ours = listed <= count and losses == self._losses[server] and links.are_connected
        return frozenset() if are_all_ours else connections

    # ---- the replay ----

    async def _replay(self, server: int) -> None:
        """Deletes the keys in the server's journal from it, and those that it misses meanwhile."""
        supervised = self._supervised
        supervisor, clock = supervised.supervisor, self._clock
        journal = supervised.engine.journal(server)
        deleted = 0

        def take() -> list[bytes]:
            nonlocal deleted
            while supervisor.replays(server, clock.now()) and not journal.is_overflowed:
                if requests := journal.take(KEYS_AT_ONCE):
                    deleted += len(requests)
                    return requests
                is_restored = supervisor.may_serve(server, clock.now())
                if (missed := journal.settle(is_restored)) is not None:
                    if deleted:
                        self._changes.replayed(server, deleted)
                    decisions = supervisor.replayed(
                        server, missed, deleted, clock.now(), is_restored=is_restored
                    )
                    self._report(server, decisions)
            return []

        def allows(stats: ServerStats) -> bool:
            is_trusted = self._identities.is_trusted(server, stats, asked_at)
            return is_trusted and supervisor.can_be_replayed(server)

        journal.begin()
        is_refused = False
        try:
            async with self._controlling:
                asked_at = clock.lasting()
                deleting = self._control.delete(supervised.servers[server], take, allows)
                await clock.within(supervisor.settings.replay_timeout_s, deleting)
        except FAILURES as error:
            is_refused = isinstance(error, RemoteProtocolError) and not isinstance(error, OtherProcess)
            self._lines.cannot_be_replayed(server, error)
        if supervisor.state(server) is State.REPLAYING:
            self._report_missed(server)
            self._report(server, supervisor.replay_failed(server, clock.now(), is_refused=is_refused))

    # ---- the flush ----

    async def _flush(self, decision: Flush | Look) -> None:
        server = decision.server
        supervised = self._supervised
        supervisor, clock = supervised.supervisor, self._clock
        try:
            delay_s = decision.delay_s if isinstance(decision, Flush) else None
            stats = await self._stats_after_flush(
                supervised.servers[server],
                delay_s,
                lambda stats, asked_at: self._identities.is_trusted(server, stats, asked_at),
            )
        except FAILURES as error:
            self._lines.cannot_be_flushed(server, error)
            self._report(server, supervisor.flush_failed(server, clock.now()))
            return
        self._report_missed(server)
        flushes = supervisor.tally(server).flushes
        decisions = supervisor.flush_answered(server, stats, clock.now())
        is_flushed = supervisor.tally(server).flushes > flushes
        if is_flushed:
            # Before it serves: a write that it misses later is noted later.
            supervised.engine.journal(server).clear()
            self._changes.flushed(server)
        self._report(server, decisions)
        if supervisor.state(server) is State.EJECTED and not is_flushed:
            timeout_s = supervisor.settings.flush.timeout_s
            why = f"not certainly empty after {timeout_s:g} s, or a connection was lost meanwhile"
            self._lines.cannot_be_flushed(server, why)

    async def _stats_after_flush(
        self, server: Server, delay_s: int | None, is_trusted: Callable[[ServerStats, float], bool]
    ) -> ServerStats:
        """Flushes the server if its process is trusted, unless `delay_s` is None. Returns its stats."""
        async with self._controlling:
            asked_at = self._clock.lasting()
            if delay_s is None:
                asking = self._control.look(server)
            else:
                asking = self._control.flush(server, delay_s, lambda stats: is_trusted(stats, asked_at))
            return await self._clock.within(self._upkeep.control_timeout_s, asking)

    async def empty(self, server: Server, plan: Plan, place: Place) -> None:
        """Flushes a server of the next plan, at the place of a removed server, until the flush is certain.

        Raises as `Control.flush`, and TimeoutError.
        """
        supervisor = self._supervised.supervisor
        settings = supervisor.settings.flush

        def is_trusted(stats: ServerStats, asked_at: float) -> bool:
            return not supervisor.is_foreign(
                server, plan, place, Seen(stats, asked_at, self._clock.lasting())
            )

        flushing = Flushing(settings)
        await self._identities.check_new(server)
        while True:
            delay_s = None if flushing.step is FlushStep.LOOK else flushing.delay_s
            stats = await self._stats_after_flush(server, delay_s, is_trusted)
            step = flushing.answered(stats, self._clock.now())
            if step is FlushStep.DONE:
                return
            await self._clock.sleep(0 if step is FlushStep.FLUSH_NOW else settings.again_s)
