"""The stages of a server's return, each a task: the probe, the fence, the flush."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from ..drivers.asyncio import control
from ..drivers.asyncio.timing import in_time
from ..policy import (
    Fence,
    Flush,
    Flushing,
    FlushStep,
    Look,
    Place,
    Plan,
    Seen,
    Server,
    ServerStats,
    State,
)
from .identities import Identities
from .server_log import ServerLog
from .supervised import CONTROL_TIMEOUT_S, CONTROLS_MAX, FAILURES, PROBES_MAX, Supervised, lasting_time

__all__ = ("Returns",)

# The links of servers that have left are looked at so often.
DEPARTED_LOOK_S = 0.02
NO_PROCESS = control.spell_address("unix", 0)


class Returns:
    """Asks servers on connections of their own what the supervisor wants to know, and reports what they say.

    `losses` counts the lost links of each server.
    """

    def __init__(
        self, supervised: Supervised, identities: Identities, lines: ServerLog, losses: Mapping[int, int]
    ) -> None:
        self._supervised = supervised
        self._identities = identities
        self._lines = lines
        self._losses = losses
        self._stages: dict[int, asyncio.Task[None]] = {}  # the last one of each server, until it ends
        self._ending: set[asyncio.Task[None]] = set()  # stages that have been given up
        # Each of them takes connections of its own, beside the servers' links.
        self._probing = asyncio.Semaphore(PROBES_MAX)
        self._controlling = asyncio.Semaphore(CONTROLS_MAX)

    def cancel(self) -> None:
        for task in self._stages.values():
            task.cancel()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Those under way, cancelled ones until they have ended."""
        return [*self._stages.values(), *self._ending]

    def retain(self) -> None:
        """Gives up the stages of servers that are not supervised any more."""
        for server, task in self._stages.items():
            if server not in self._supervised.servers:
                task.cancel()

    # ---- one stage at a time ----

    def probe(self, server: int) -> None:
        self._start(server, self._probe(server))

    def fence(self, decision: Fence) -> None:
        self._start(decision.server, self._fence(decision))

    def flush(self, decision: Flush | Look) -> None:
        self._start(decision.server, self._flush(decision))

    def _start(self, server: int, stage: Coroutine[Any, Any, None]) -> None:
        """What an earlier stage would report is not about this one."""
        before = self._stages.pop(server, None)
        if before is not None and before is not asyncio.current_task():
            before.cancel()
            self._ending.add(before)
        task = self._stages[server] = self._supervised.loop.create_task(stage)
        task.add_done_callback(lambda task: self._ended(server, task))

    def _ended(self, server: int, stage: asyncio.Task[None]) -> None:
        self._ending.discard(stage)
        if self._stages.get(server) is stage:
            del self._stages[server]

    def _report_missed(self, server: int) -> None:
        self._supervised.supervisor.missed_writes(server, self._supervised.engine.missed_writes(server))

    # ---- the probe ----

    async def _probe(self, server: int) -> None:
        supervised = self._supervised
        supervisor, loop = supervised.supervisor, supervised.loop
        try:
            async with self._probing:
                if supervisor.state(server) is not State.PROBING:
                    # It has waited here for longer than the stage lasts.
                    return
                asked_at, since = lasting_time(), loop.time()
                stats = await in_time(control.probe(supervised.servers[server]), CONTROL_TIMEOUT_S)
            supervised.drop_silent_links(server, since)
            is_trusted = self._identities.is_trusted(server, stats, asked_at)
            if is_trusted:
                await self._identities.compare(server)
                is_trusted = supervisor.original(server) is None
        except FAILURES:
            is_trusted = False
        if not is_trusted:
            supervised.carry_out(supervisor.probe_failed(server, loop.time()), "")
        else:
            supervised.carry_out(supervisor.probe_answered(server, loop.time()), "")

    # ---- the fence ----

    async def _fence(self, decision: Fence) -> None:
        server, connections = decision.server, decision.connections
        supervised = self._supervised
        supervisor, loop = supervised.supervisor, supervised.loop
        links = supervised.links[server]
        if decision.awaits_departed and not await self._have_departed():
            self._lines.cannot_be_fenced(server, "links of servers that have left are still open")
            supervised.carry_out(supervisor.fence_failed(server, loop.time()), "")
            return
        try:
            await in_time(links.settled(), CONTROL_TIMEOUT_S)
        except asyncio.TimeoutError:
            # Others get answers and a connection does not: its past is settled by closing it.
            links.abort_unsettled()
            why = f"not all connections to it were made, and answered, within {CONTROL_TIMEOUT_S:g} s"
            self._lines.cannot_be_fenced(server, why)
            supervised.carry_out(supervisor.fence_failed(server, loop.time()), "")
            return
        try:
            still_listed, is_blind = await self._still_listed(server, connections)
        except FAILURES as error:
            self._lines.cannot_be_fenced(server, error)
            supervised.carry_out(supervisor.fence_failed(server, loop.time()), "")
            return
        self._report_missed(server)
        if still_listed:
            self._lines.awaited(server, loop.time(), still_listed, is_blind, supervisor.settings)
        decisions = supervisor.fence_answered(server, still_listed, loop.time(), is_blind)
        supervised.carry_out(decisions, "")

    async def _have_departed(self) -> bool:
        """Awaits the end of the links of servers that have left. Whether it came in time."""
        loop = self._supervised.loop
        ends_at = loop.time() + CONTROL_TIMEOUT_S
        while self._supervised.links.keys() - self._supervised.servers.keys():
            if loop.time() >= ends_at:
                return False
            await asyncio.sleep(DEPARTED_LOOK_S)
        return True

    async def _still_listed(self, server: int, connections: frozenset[str]) -> tuple[frozenset[str], bool]:
        """Lost connections that the server still has, or may have, and whether its list cannot show it."""
        if not connections:
            return connections, False
        if self._supervised.servers[server].path:
            return await self._still_of_process(server, connections), False
        try:
            async with self._controlling:
                asking = control.listed_connections(self._supervised.servers[server])
                listed = await in_time(asking, CONTROL_TIMEOUT_S)
        except control.OtherAddresses:
            return connections, True
        # A new link may have got the address of a lost one, which then exists no more.
        return (connections & listed) - self._supervised.links[server].addresses, False

    async def _still_of_process(self, server: int, connections: frozenset[str]) -> frozenset[str]:
        """By a unix socket: another process that listens has none of them, this one lists them nameless."""
        links, losses = self._supervised.links[server], self._losses[server]
        count = links.connected
        async with self._controlling:
            asking = control.unix_connections(self._supervised.servers[server])
            process, listed = await in_time(asking, CONTROL_TIMEOUT_S)
        if process != NO_PROCESS:
            connections &= {process}
        # All ours had answered before, and are among these: are there more?
        are_all_ours = listed <= count and losses == self._losses[server] and links.are_connected
        return frozenset() if are_all_ours else connections

    # ---- the flush ----

    async def _flush(self, decision: Flush | Look) -> None:
        server = decision.server
        supervised = self._supervised
        supervisor, loop = supervised.supervisor, supervised.loop
        try:
            delay_s = decision.delay_s if isinstance(decision, Flush) else None
            stats = await self._stats_after_flush(
                supervised.servers[server],
                delay_s,
                lambda stats, asked_at: self._identities.is_trusted(server, stats, asked_at),
            )
        except FAILURES as error:
            self._lines.cannot_be_flushed(server, error)
            supervised.carry_out(supervisor.flush_failed(server, loop.time()), "")
            return
        self._report_missed(server)
        supervised.carry_out(supervisor.flush_answered(server, stats, loop.time()), "")
        if supervisor.state(server) is State.EJECTED:
            timeout_s = supervisor.settings.flush.timeout_s
            why = f"not certain after {timeout_s:g} s, or a connection was lost meanwhile"
            self._lines.cannot_be_flushed(server, why)

    async def _stats_after_flush(
        self, server: Server, delay_s: int | None, is_trusted: Callable[[ServerStats, float], bool]
    ) -> ServerStats:
        """None: without a flush. Else it is flushed if its process, asked at that time, is trusted."""
        async with self._controlling:
            asked_at = lasting_time()
            if delay_s is None:
                asking = control.look(server)
            else:
                asking = control.flush(server, delay_s, lambda stats: is_trusted(stats, asked_at))
            return await in_time(asking, CONTROL_TIMEOUT_S)

    async def empty(self, server: Server, plan: Plan, place: Place) -> None:
        """For a server of a plan that comes next, at a place that one has left.

        Returns when a flush is certain. Raises TimeoutError, and as `control.flush`, also if another process
        answers.
        """
        supervisor = self._supervised.supervisor
        settings = supervisor.settings.flush

        def is_trusted(stats: ServerStats, asked_at: float) -> bool:
            return not supervisor.is_foreign(server, plan, place, Seen(stats, asked_at, lasting_time()))

        flushing = Flushing(settings)
        await self._identities.check_new(server)
        while True:
            delay_s = None if flushing.step is FlushStep.LOOK else flushing.delay_s
            stats = await self._stats_after_flush(server, delay_s, is_trusted)
            step = flushing.heard(stats, self._supervised.loop.time())
            if step is FlushStep.DONE:
                return
            await asyncio.sleep(0 if step is FlushStep.FLUSH_NOW else settings.again_s)
