"""Reports failures to the supervisor, and carries its decisions out.

Trips and missed writes are read from the engine, which the supervisor does not see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from random import Random

from ..policy import (
    Cause,
    Decision,
    Fence,
    Flush,
    Look,
    Outlier,
    PanicChanged,
    Past,
    Place,
    Places,
    Plan,
    Probe,
    Reason,
    Replay,
    Server,
    ServerState,
    SetState,
    State,
    Supervisor,
    SupervisorSettings,
    Upkeep,
)
from .announcements import Announcements
from .faults import Faults
from .hedge_looks import HedgeLooks
from .identities import Identities
from .interfaces import FAILURES, Clock, Control, Journal, Links, LinksWatcher, SupervisedEngine, Timer
from .outlier_looks import OutlierLooks
from .refills import Refills
from .returns import Returns
from .server_log import ServerLog
from .slow_servers import SlowServers
from .standins import StandIns
from .supervised import Supervised
from .value_sizes import ValueSizes
from .waiting import ended, together
from .warmings import Warmings

__all__ = ("Supervision",)


def _ignore() -> None:
    pass


class Supervision(LinksWatcher):
    """The health of the servers of one engine. `links` are those of the owner, by the server's id."""

    def __init__(
        self,
        plan: Plan,
        engine: SupervisedEngine,
        links: Mapping[int, Links],
        clock: Clock,
        control: Control,
        rng: Random,
        settings: SupervisorSettings | None = None,
        places: Places | None = None,
        upkeep: Upkeep | None = None,
        refills: Refills | None = None,
    ) -> None:
        self.links = links
        self.supervisor: Supervisor = Supervisor(plan, rng, settings, places)
        self._upkeep = upkeep or Upkeep()
        self._supervised = Supervised(
            self.supervisor,
            engine,
            links,
            {plan.server_ids[server.name]: server for server in plan.servers},
            clock,
            control,
            self._upkeep,
            rng,
            self._carry_out,
            lambda: self.on_change(),
        )
        self._engine = engine
        self._clock = clock
        # By server with a lost link: the missed writes when the first of its lost links was lost.
        self._missed_before_loss = dict.fromkeys(self._supervised.servers, 0)
        self._losses = dict.fromkeys(self._supervised.servers, 0)  # of links
        self.faults: Faults = Faults(self._supervised)
        self.changes: Announcements = Announcements(self._supervised)
        self._lines = ServerLog(self._supervised.name, self._upkeep.log)
        self._identities = Identities(self._supervised, self._lines)
        self._sizes = ValueSizes(self._supervised)
        self._slow_servers = SlowServers(self._supervised, self._lines, self.changes)
        self._outliers = OutlierLooks(self._supervised, self._found_outlier, self.changes.hits_fell)
        self._hedges = HedgeLooks(self._supervised)
        self._returns = Returns(self._supervised, self._identities, self._lines, self.changes, self._losses)
        self._warmings = Warmings(self._supervised, self.changes, refills)
        self._standins = StandIns(self._supervised, self._identities, self._lines)
        self._standins.install(plan, plan.server_ids, ())
        self._questions = (self._returns, self._sizes, self._identities, self._standins, self._warmings)
        self._timer: Timer | None = None
        self.on_change: Callable[[], None] = _ignore  # called when the state file must change
        self._protected: set[int] = set()  # the servers that the engine keeps
        self._protect(self.supervisor.protected(), True)

    def close(self) -> None:
        """Cancels all questions to servers. Later reports are ignored."""
        self._supervised.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for part in (self._slow_servers, self._outliers, self._hedges, *self._questions):
            part.cancel()

    async def closed(self) -> None:
        """Returns when the cancelled questions have ended, and their connections."""
        tasks = [task for part in self._questions for task in part.tasks]
        await ended(self._clock, tasks)
        # Transports report their end in the next turn of the loop.
        await self._clock.sleep(0)

    def recall(self, pasts: Sequence[Past], is_trusting: bool) -> None:
        """Restores the state of an earlier process. Call before any request goes to a server."""
        decisions = self.supervisor.recall(pasts, is_trusting, self._clock.now())
        for server, keys in self.supervisor.take_recalled_keys().items():
            self._engine.journal(server).recall(keys)
            self._supervised.report_missed(server)
        self._carry_out(decisions)

    # ---- another plan ----

    async def flush_outdated(self, plan: Plan, places: Places) -> list[Server]:
        """Flushes servers that return with this plan. Returns those whose flush is not certain."""
        servers = self.supervisor.outdated(plan, places)
        flushes = (self._is_emptied(server, plan, places[server.name]) for server in servers)
        results = await together(self._clock, flushes)
        return [server for server, is_empty in zip(servers, results, strict=True) if not is_empty]

    async def _is_emptied(self, server: Server, plan: Plan, place: Place) -> bool:
        try:
            await self._clock.within(self._upkeep.reload_flush_s, self._returns.empty(server, plan, place))
        except FAILURES:
            return False
        return True

    def install(
        self,
        plan: Plan,
        ids: Mapping[str, int],
        unflushed: Sequence[Server],
        settings: SupervisorSettings | None,
        places: Places | None = None,
    ) -> None:
        """Supervises the servers of a plan, which the engine has admitted and will install."""
        missed = {number: self._engine.missed_writes(number) for number in ids.values()}
        # Read the ejections of the engine first, or the decisions below would revert them.
        self.look_for_trips()
        self._report_all_stale()
        stays = self.supervisor.continued(plan, places)
        names = {number: server.name for number, server in self._supervised.servers.items()}
        servers = {ids[server.name]: server for server in plan.servers}
        joining = {number for number, server in servers.items() if server.name not in stays}
        self.changes.leave(number for number in names if number not in servers or number in joining)
        self._supervised.servers = servers
        # A reused id does not inherit protection.
        self._protect(self._protected - (servers.keys() - joining), False)
        self.faults.retain(joining, names)
        for number in joining:
            self._missed_before_loss[number] = missed[number]
            self._lines.reset(number)
            self._slow_servers.reset(number)
            self._outliers.reset(number)
            self._hedges.reset(number)
            self._identities.reset(number)
        for number in self._losses.keys() - servers.keys():
            del self._losses[number]
        for number in servers:
            self._losses.setdefault(number, 0)
        self._returns.retain()
        self._standins.install(plan, ids, joining)
        decisions = self.supervisor.install(
            plan,
            self._clock.now(),
            ids=ids,
            missed=missed,
            unflushed=unflushed,
            settings=settings,
            places=places,
        )
        self._warmings.install()
        self._carry_out(decisions)

    # ---- what links and the engine report ----

    def connected(self, server: int) -> None:
        self._sizes.ask(server)
        self._identities.ask(server)
        self.supervisor.connected(server)
        if not self.changes.is_out(server):
            self.faults.clear(server)
        self.on_change()
        before = self._missed_before_loss.get(server, math.inf)
        if self.supervisor.state(server) is State.UP and self._engine.missed_writes(server) > before:
            # The last server of its pool served with missed writes. Others may serve now: flush this one.
            self._tripped(server, Reason(Cause.KEPT))
        if server in self.links and self.links[server].are_connected:
            self._missed_before_loss.pop(server, None)

    def connect_failed(self, server: int, reason: Reason, error: Exception | None = None) -> None:
        # Note the fault before the ejection, which answers the waiting requests with it.
        self.faults.note(server, str(reason), error)
        was_out = self.changes.is_out(server)
        self._report_stale(server)
        self._carry_out(self.supervisor.connect_failed(server, self._clock.now(), reason))
        if server in self._supervised.servers:
            is_logged = self.changes.is_out(server) and not was_out
            self._lines.cannot_be_used(server, self._clock.now(), str(reason), is_logged)

    def out_of_resources(self, server: int) -> None:
        if server in self._supervised.servers:
            self._lines.out_of_resources(server, self._clock.now())

    def located(self, server: int, place: Place) -> None:
        decisions = self.supervisor.located(server, place, self._clock.now())
        if decisions and server in self.links:
            # The connections lead to the old place.
            self.links[server].disconnect()
        if decisions:
            self._carry_out(decisions)

    def link_lost(
        self,
        server: int,
        local_address: str,
        writes_in_flight: int,
        missed: int,
        why: str = "",
        error: Exception | None = None,
    ) -> None:
        if why:
            self.faults.note(server, f"its connection was lost: {why}", error)
        if server in self._supervised.servers:
            before = self._missed_before_loss.get(server, missed)
            self._missed_before_loss[server] = min(before, missed)
            self._losses[server] += 1
        self.supervisor.link_lost(server, local_address, writes_in_flight)
        self.on_change()
        self.look_for_trips()
        if writes_in_flight:
            what = f"({writes_in_flight})" + (f": {why}" if why else "")
            self._tripped(server, Reason(Cause.LOST_WRITES, (what,)))

    def look_for_trips(self) -> None:
        self._slow_servers.look_soon()
        self._standins.look()
        tripped, stale = self.supervisor.serving & self._engine.out(), self._engine.stale()
        # Servers with stale values first: the last one of several is protected, and must not be stale.
        for server in (*sorted(tripped & stale), *sorted(tripped - stale)):
            # An ejection above may have restored this server.
            if self._has_tripped(server):
                self._tripped(server, self._why_tripped(server, server in stale))
        self._look_for_missed_writes(stale)

    def _look_for_missed_writes(self, stale: Set[int]) -> None:
        """Servers that are out of service and miss their first write are probed soon."""
        if missing := self.supervisor.out_in_order & stale:
            for server in missing:
                self._supervised.report_missed(server)
            self._arm()

    def _why_tripped(self, server: int, is_stale: bool) -> Reason:
        if not is_stale:
            return Reason(Cause.FAILURES)
        fault = self.faults.get(server)
        return Reason(Cause.MISSED_WRITE, (fault.why,) if fault else ())

    def look_for_slow_servers(self) -> None:
        """Reads the engine's counters of slow servers, which change once a second at most."""
        self._slow_servers.look()

    def _has_tripped(self, server: int) -> bool:
        """Whether the engine has ejected the server, or would have, and the supervisor does not know yet."""
        if self.supervisor.state(server) is not State.UP:
            return False
        return self._engine.server_state(server) != ServerState.UP or self._engine.is_spared(server)

    def _report_stale(self, failed: int) -> None:
        """The failure of a server in service may restore others, so the supervisor must know stale ones."""
        if self.supervisor.state(failed) is State.UP:
            self._report_all_stale()

    def _report_all_stale(self) -> None:
        for server in self.supervisor.unsuspicious & self._engine.stale():
            self.supervisor.stale(server)

    def _tripped(self, server: int, reason: Reason) -> None:
        self._report_stale(server)
        self._carry_out(self.supervisor.tripped(server, self._clock.now(), reason))
        self._look_for_missed_writes(self._engine.stale())
        if self.supervisor.state(server) is State.UP:
            # The server is protected. Find out whether only its connections are silent.
            self._identities.ask(server)

    def _found_outlier(self, outlier: Outlier) -> None:
        self._report_stale(outlier.server)
        self._carry_out(self.supervisor.outlying(outlier, self._clock.now()))

    async def sizes_known(self) -> None:
        """Returns when newly connected servers have reported their largest values and their processes.

        Or after `Upkeep.first_answers_s`.
        """
        await ended(self._clock, [*self._sizes.tasks, *self._identities.tasks], self._upkeep.first_answers_s)

    def journals(self) -> dict[str, Journal]:
        """The journals of missed writes, by the servers' names."""
        return {
            server.name: self._engine.journal(number) for number, server in self._supervised.servers.items()
        }

    def standins(self) -> dict[str, tuple[int, int]]:
        """By the stand-in's name: keys that it has taken, and keys that were deleted there so far."""
        return self._standins.reports()

    # ---- decisions ----

    def _carry_out(self, decisions: Sequence[Decision]) -> None:
        if self._supervised.is_closed:
            return
        touched = self.supervisor.take_touched()
        kept = {server for server in touched if self.supervisor.is_protected(server)}
        # Protect the old and the new last server while decisions are applied.
        self._protect(kept - self._protected, True)
        for decision in decisions:
            self._carry_out_one(decision)
        self._protect(self._protected & (touched - kept), False)
        self._arm()
        self._warmings.look()
        if any(isinstance(decision, SetState) for decision in decisions):
            self.on_change()
            self._standins.look()

    def _carry_out_one(self, decision: Decision) -> None:
        if isinstance(decision, SetState):
            if self.changes.is_out(decision.server):
                self._slow_servers.pass_over(decision.server)
            self._set_state(decision)
            self._announce_service(decision)
        elif isinstance(decision, PanicChanged):
            self.changes.panic(decision.pool, decision.is_panic)
        else:
            self.changes.stage_begins(decision.server)
            self._begin_stage(decision)

    def _begin_stage(self, decision: Probe | Fence | Replay | Flush | Look) -> None:
        if isinstance(decision, Probe):
            self._returns.probe(decision)
        elif isinstance(decision, Fence):
            self._returns.fence(decision)
        elif isinstance(decision, Replay):
            self._returns.replay(decision.server)
        else:
            self._returns.flush(decision)

    def _protect(self, servers: Collection[int], is_protected: bool) -> None:
        for server in servers:
            self._engine.protect(server, is_protected)
        (self._protected.update if is_protected else self._protected.difference_update)(servers)

    def _set_state(self, decision: SetState) -> None:
        self._engine.set_server_state(decision.server, decision.state, decision.missed, decision.unless_stale)
        if self._engine.server_state(decision.server) != decision.state:
            # Later: the supervisor's other decisions come first.
            self._clock.call_soon(self.look_for_trips)

    def _announce_service(self, decision: SetState) -> None:
        server = decision.server
        if decision.state is not ServerState.UP:
            if not self.changes.is_out(server) and self.faults.get(server) is None:
                self.faults.note(server, str(decision.reason))
            self.changes.goes_out(server, decision.reason)
        elif self.changes.is_out(server):
            self.changes.serves_again(server)
            self._lines.serves(server)
            self.faults.clear(server)
            # Its links may wait for a retry. Later: a hanging thread must not delay the rest.
            if server in self.links:
                self._clock.call_soon(self.links[server].retry_now)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.supervisor.next_wakeup()
        if due is not None:
            self._timer = self._clock.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._carry_out(self.supervisor.tick(self._clock.now()))
