"""The supervisor at work: failures go in, and what it decides is carried out.

What it cannot see by itself is looked up in the engine: trips, and writes that servers missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random

from ..policy import (
    Cause,
    Decision,
    Fence,
    Flush,
    Look,
    PanicChanged,
    Past,
    Place,
    Places,
    Plan,
    Probe,
    Reason,
    Server,
    ServerState,
    SetState,
    State,
    Supervisor,
    SupervisorSettings,
    Upkeep,
)
from .faults import Faults
from .identities import Identities
from .interfaces import FAILURES, Clock, Control, Links, SupervisedEngine, Timer
from .returns import Returns
from .server_log import ServerLog
from .slow_servers import SlowServers
from .supervised import Supervised
from .value_sizes import ValueSizes
from .waiting import ended, together

__all__ = ("Supervision",)


def _unheard() -> None:
    pass


class Supervision:
    """Health of the servers of a carried engine. `links` are the owner's, by id."""

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
        )
        self._engine = engine
        self._clock = clock
        # While not all links of a server are connected: writes missed when the first of these was lost.
        self._missed_before_loss = dict.fromkeys(self._supervised.servers, 0)
        self._losses = dict.fromkeys(self._supervised.servers, 0)  # of links
        self.faults: Faults = Faults(self._supervised)
        self._lines = ServerLog(self._supervised.name)
        self._identities = Identities(self._supervised, self._lines)
        self._sizes = ValueSizes(self._supervised)
        self._slow_servers = SlowServers(self._supervised, self._lines)
        self._returns = Returns(self._supervised, self._identities, self._lines, self._losses)
        self._timer: Timer | None = None
        self.on_change: Callable[[], None] = _unheard  # what another process has to know
        self._kept: set[int] = set()  # as the engine knows
        self._keep(self.supervisor.kept(), True)

    def close(self) -> None:
        """Gives up what is under way; what is reported from now on is ignored."""
        self._supervised.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for part in (self._slow_servers, self._returns, self._sizes, self._identities):
            part.cancel()

    async def closed(self) -> None:
        """Returns when what `close` gave up has ended, connections included."""
        tasks = [*self._returns.tasks, *self._sizes.tasks, *self._identities.tasks]
        await ended(self._clock, tasks)
        # Transports report their end in the next turn of the loop.
        await self._clock.sleep(0)

    def recall(self, pasts: Sequence[Past], is_trusting: bool) -> None:
        """Begins where an earlier process has ended; before anything is asked of the servers."""
        decisions = self.supervisor.recall(pasts, is_trusting, self._clock.now())
        self._carry_out(decisions)

    # ---- another plan ----

    async def flush_outdated(self, plan: Plan, places: Places) -> list[Server]:
        """Flushes servers that come back by this plan. Returns those of which nothing is certain yet."""
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
        """Supervises the servers of a plan that the engine has admitted and installs next."""
        missed = {number: self._engine.missed_writes(number) for number in ids.values()}
        # Whom the engine has ejected until now, and nobody has heard of yet, is not to be put back.
        self.look_for_trips()
        self._tell_all_who_are_stale()
        stays = self.supervisor.continued(plan, places)
        names = {number: server.name for number, server in self._supervised.servers.items()}
        servers = self._supervised.servers = {ids[server.name]: server for server in plan.servers}
        joining = {number for number, server in servers.items() if server.name not in stays}
        # A reused id does not inherit protection.
        self._keep(self._kept - (servers.keys() - joining), False)
        self._lines.retain(servers, joining)
        self.faults.retain(joining, names)
        for number in joining:
            self._missed_before_loss[number] = missed[number]
            self._slow_servers.forget(number)
            self._identities.forget(number)
        for number in self._losses.keys() - servers.keys():
            del self._losses[number]
        for number in servers:
            self._losses.setdefault(number, 0)
        self._returns.retain()
        decisions = self.supervisor.install(
            plan,
            self._clock.now(),
            ids=ids,
            missed=missed,
            unflushed=unflushed,
            settings=settings,
            places=places,
        )
        self._carry_out(decisions)

    # ---- what links and the engine report ----

    def connected(self, server: int) -> None:
        self._sizes.ask(server)
        self._identities.ask(server)
        self.supervisor.connected(server)
        if not self._lines.is_out(server):
            self.faults.clear(server)
        self.on_change()
        before = self._missed_before_loss.get(server, math.inf)
        if self.supervisor.state(server) is State.UP and self._engine.missed_writes(server) > before:
            # It was the last one of its pool, and kept; now that others may serve, it returns in order.
            self._tripped(server, Reason(Cause.KEPT))
        if server in self.links and self.links[server].are_connected:
            self._missed_before_loss.pop(server, None)

    def connect_failed(self, server: int, why: str, error: Exception | None = None) -> None:
        """`error` is what the system has raised, if it has."""
        # Before it goes out of service: requests that wait for it are answered then.
        self.faults.note(server, why, error)
        was_out = self._lines.is_out(server)
        self._tell_who_is_stale(server)
        reason = Reason(Cause.UNREACHABLE, (why,))
        self._carry_out(self.supervisor.connect_failed(server, self._clock.now(), reason))
        if server in self._supervised.servers:
            is_told = self._lines.is_out(server) and not was_out
            self._lines.cannot_be_used(server, self._clock.now(), why, is_told)

    def starved(self, server: int) -> None:
        """No descriptor or memory was left for a connection to the server, which has not failed."""
        if server in self._supervised.servers:
            self._lines.starved(server, self._clock.now())

    def located(self, server: int, place: Place) -> None:
        """The server's address means this place from now on."""
        decisions = self.supervisor.located(server, place, self._clock.now())
        if decisions and server in self.links:
            # They lead to where it was.
            self.links[server].disconnect()
        if decisions:
            self._carry_out(decisions)

    def losing(self, server: int, why: str, error: Exception | None = None) -> None:
        """A connection has gone for this reason; `link_lost` is due when its requests have been answered."""
        self.faults.note(server, f"its connection was lost: {why}", error)

    def link_lost(
        self, server: int, local_address: str, writes_in_flight: int, missed: int, reason: str = ""
    ) -> bool:
        """Whether the server may go on serving over its next connection: it has no write to execute yet.

        `missed` are the writes that the server had missed when that happened.
        """
        if reason and self.faults.get(server) is None:
            self.losing(server, reason)
        if server in self._supervised.servers:
            before = self._missed_before_loss.get(server, missed)
            self._missed_before_loss[server] = min(before, missed)
            self._losses[server] += 1
        self.supervisor.link_lost(server, local_address, writes_in_flight)
        self.on_change()
        self.look_for_trips()
        if writes_in_flight:
            what = f"({writes_in_flight})" + (f": {reason}" if reason else "")
            self._tripped(server, Reason(Cause.LOST_WRITES, (what,)))
        return self.supervisor.state(server) is State.UP

    def look_for_trips(self) -> None:
        """To be called whenever the engine may have counted a failure."""
        self._slow_servers.look_soon()
        tripped, stale = self.supervisor.serving & self._engine.out(), self._engine.stale()
        # Who may hold old values goes first: of several the last one is kept, and that should not be it.
        for server in (*sorted(tripped & stale), *sorted(tripped - stale)):
            # Not one that has been put back because of another one.
            if self._has_tripped(server):
                self._tripped(server, self._why_tripped(server, server in stale))

    def _why_tripped(self, server: int, is_stale: bool) -> Reason:
        if not is_stale:
            return Reason(Cause.FAILURES)
        fault = self.faults.get(server)
        return Reason(Cause.MISSED_WRITE, (fault.why,) if fault else ())

    def look_for_troubles(self) -> None:
        """To be called when the engine may have noticed a slow server: it does so once a second at most."""
        self._slow_servers.look()

    def _has_tripped(self, server: int) -> bool:
        """In the engine, unknown to the supervisor."""
        if self.supervisor.state(server) is not State.UP:
            return False
        return self._engine.server_state(server) != ServerState.UP or self._engine.is_spared(server)

    def _tell_who_is_stale(self, failed: int) -> None:
        """A failure of one may lift others, if it served."""
        if self.supervisor.state(failed) is State.UP:
            self._tell_all_who_are_stale()

    def _tell_all_who_are_stale(self) -> None:
        for server in self.supervisor.unsuspicious & self._engine.stale():
            self.supervisor.stale(server)

    def _tripped(self, server: int, reason: Reason) -> None:
        self._tell_who_is_stale(server)
        self._carry_out(self.supervisor.tripped(server, self._clock.now(), reason))
        if self.supervisor.state(server) is State.UP:
            # It is kept. Perhaps it answers, and its connections are what is silent.
            self._identities.ask(server)

    async def sizes_known(self) -> None:
        """Returns when servers that have just been connected to have said how large their values may be.

        And which process they are; or after a while.
        """
        await ended(self._clock, [*self._sizes.tasks, *self._identities.tasks], self._upkeep.first_answers_s)

    # ---- decisions ----

    def _carry_out(self, decisions: Sequence[Decision]) -> None:
        if self._supervised.is_closed:
            return
        touched = self.supervisor.take_touched()
        kept = {server for server in touched if self.supervisor.is_kept(server)}
        # The last one that serves never goes out by a trip: neither the one before, nor the one after this.
        self._keep(kept - self._kept, True)
        for decision in decisions:
            self._carry_out_one(decision)
        self._keep(self._kept & (touched - kept), False)
        self._arm()
        if any(isinstance(decision, SetState) for decision in decisions):
            self.on_change()

    def _carry_out_one(self, decision: Decision) -> None:
        if isinstance(decision, SetState):
            if self._lines.is_out(decision.server):
                self._slow_servers.pass_over(decision.server)
            self._set_state(decision)
            self._log_service(decision)
        elif isinstance(decision, Probe):
            self._returns.probe(decision.server)
        elif isinstance(decision, Fence):
            self._returns.fence(decision)
        elif isinstance(decision, (Flush, Look)):
            self._returns.flush(decision)
        elif isinstance(decision, PanicChanged):
            bad, size = self.supervisor.bad(decision.pool)
            self._lines.panic(decision.pool, decision.is_panic, bad, size)

    def _keep(self, servers: Collection[int], is_kept: bool) -> None:
        for server in servers:
            self._engine.keep(server, is_kept)
        (self._kept.update if is_kept else self._kept.difference_update)(servers)

    def _set_state(self, decision: SetState) -> None:
        self._engine.set_server_state(decision.server, decision.state, decision.missed, decision.unless_stale)
        if self._engine.server_state(decision.server) != decision.state:
            # Not at once: the supervisor has said more, and expects that to be done first.
            self._clock.call_soon(self.look_for_trips)

    def _log_service(self, decision: SetState) -> None:
        server, now = decision.server, self._clock.now()
        flushes = self.supervisor.flushes(server)
        if decision.state is not ServerState.UP:
            if not self._lines.is_out(server) and self.faults.get(server) is None:
                self.faults.note(server, str(decision.reason))
            self._lines.goes_out(server, now, flushes, decision.reason)
        elif self._lines.is_out(server):
            self._lines.serves_again(server, now, flushes)
            self.faults.clear(server)
            # Its links may wait for their next attempt. Later: a thread that hangs must not delay this.
            if server in self.links:
                self._clock.call_soon(self.links[server].hurry)

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
