"""The supervisor: receives reports, keeps one record per server, and returns decisions.

The engine trips by itself after failures in a row. The supervisor confirms the trip, or restores the server,
because ejections have a cap: the last server of a pool stays, and a panic protects servers (`panics`). The
engine learns beforehand which servers the cap keeps, so that it does not trip them. An ejected server returns
in stages (`stages`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from .causes import Cause, Reason
from .decisions import Decision, ServerState, SetState
from .flushing import ServerStats
from .health import Event, State
from .members import Keys
from .nodes import Plan
from .outliers import Outlier
from .pasts import Past
from .places import Place, Places
from .processes import Kinship, Process, Seen, process_of
from .servers import Server
from .stages import ENGINE_STATES
from .supervisor_settings import SupervisorSettings
from .supervisor_state import SupervisorState

__all__ = ("Supervisor",)

_FAILURES, _UNREACHABLE = Reason(Cause.FAILURES), Reason(Cause.UNREACHABLE)


class Supervisor(SupervisorState):
    """Health of the servers of one plan. Not thread-safe; `now` is any clock that does not go backwards.

    Every method returns decisions, to be carried out in order. Servers are ids: indices into `plan.servers`,
    or the `ids` given to `install`. A report on a server that is not in the plan changes nothing.

    `places` are the places of the plan's servers by name, empty for a name that is not resolved yet; without
    them each address is a place.
    """

    # ---- another plan ----

    def continued(self, plan: Plan, places: Places | None = None) -> dict[str, str]:
        """For servers of `plan` that are in the present plan, by name: their names in the present plan."""
        return self._members.continued(plan, places)

    def outdated(self, plan: Plan, places: Places | None = None) -> tuple[Server, ...]:
        """Servers of `plan` that departed from an earlier plan, and missed later writes.

        Flush them before the plan is installed.
        """
        return self._members.outdated(plan, places)

    def is_foreign(self, server: Server, plan: Plan, place: Place, seen: Seen) -> bool:
        """For one of `outdated`: whether the process is neither the departed one nor a restart of it."""
        return self._members.is_foreign(server, plan, place, seen)

    def install(
        self,
        plan: Plan,
        now: float,
        *,
        ids: Mapping[str, int] | None = None,
        missed: Mapping[int, int] = MappingProxyType({}),
        unflushed: Collection[Server] = (),
        settings: SupervisorSettings | None = None,
        places: Places | None = None,
    ) -> tuple[Decision, ...]:
        """Switches to another plan, and returns the states of its servers.

        Omits servers that stay UP: the engine may know more than the supervisor.

        `ids` are those of its servers by name; the default is their indices. `missed` are the counters of
        missed writes; for a server that joins, these writes concern an earlier server, or were flushed.
        `unflushed` are those of `outdated` that could not be flushed: they begin out of service. So do
        servers that join at an unknown place, or at one that may be that of a server that is out of service
        or departs.

        A server that stays at its place keeps its record, under any name. If all servers that a pool still
        has are ejected, the slow ones among them are restored at once.
        """
        flushed = {server.name for server in self.outdated(plan, places)} - {s.name for s in unflushed}
        other = set(self._members.install(plan, now, ids, missed, unflushed, places))
        self.cold.retain(self._members.records.keys() - other)
        for name in flushed:
            self.cold.emptied(self._members.ids[name])
        self.settings: SupervisorSettings = settings or self.settings
        self._panics.retain(pool.name for pool in plan.named_pools)
        self._count_anew()
        self._duplicates.retain(other, now)
        self._follow_downs(now)
        states = [
            SetState(
                number, word, missed.get(number) if word is ServerState.UP else None, reason=record.reason
            )
            for number, record in self._records.items()
            if (word := ENGINE_STATES[record.health.state]) is not ServerState.UP or number in other
        ]
        return (*states, *self._panics.restore_again(now), *self._panics.watch(now))

    def located(self, server: int, place: Place, now: float) -> tuple[Decision, ...]:
        """Sets the place of the server's address. At another place than before it goes out of service."""
        if server not in self._records or not place or not self._members.moved(server, place):
            return ()
        self._duplicates.changed(server)
        return self._failed(server, now, Reason(Cause.MOVED))

    # ---- an earlier process ----

    def recall(self, pasts: Sequence[Past], is_trusting: bool, now: float) -> tuple[Decision, ...]:
        """Continues from an earlier process, before any request goes to the plan's servers.

        Servers that owe a flush or a fence begin out of service; so do servers that are down, and servers
        without an entry, unless `is_trusting`.
        """
        out, self._recalled_keys = self._members.recall(pasts, is_trusting, now)
        for number in self._records:
            self._census.count(number)
            self._stages.sort(number)
        downs = self._follow_downs(now)
        states = (
            SetState(number, ServerState.EJECTED, reason=self._records[number].reason)
            for number in out
            if not self._records[number].is_down
        )
        return (*states, *downs)

    def _follow_downs(self, now: float) -> tuple[Decision, ...]:
        """Takes down the servers that the plan has as down, and releases those that it has no longer so."""
        decisions: list[Decision] = []
        for server in self.plan.servers:
            number = self._members.ids[server.name]
            is_down = self._records[number].is_down
            if server.down and not is_down:
                decisions += self._stages.take_down(number, now)
            elif is_down and not server.down:
                self._stages.release(number, now)
        return tuple(decisions)

    def take_recalled_keys(self) -> Mapping[int, Keys]:
        """After `recall`, once: the keys that servers missed. Note them in the servers' journals."""
        keys, self._recalled_keys = self._recalled_keys, {}
        return keys

    def remembered(self) -> list[Past]:
        """The entries for the next process: of the plan's servers, and of departed ones."""
        return self._members.remembered()

    def is_only_fenced(self, server: int) -> bool:
        """Whether the server is out of service in its first return attempt, and needs no flush."""
        record = self._records.get(server)
        return record is not None and record.is_only_fenced

    # ---- failures ----

    def tripped(self, server: int, now: float, reason: Reason = _FAILURES) -> tuple[Decision, ...]:
        """The engine has ejected the server, or must eject it, for this reason."""
        return self._failed(server, now, reason)

    def connect_failed(self, server: int, now: float, reason: Reason = _UNREACHABLE) -> tuple[Decision, ...]:
        """A connection was refused or timed out: the server cannot be reached."""
        return self._failed(server, now, reason)

    def outlying(self, outlier: Outlier, now: float) -> tuple[Decision, ...]:
        """The server serves worse than its peers: ejects it, unless enough others are out for that."""
        record = self._records.get(outlier.server)
        if record is None or record.health.state is not State.UP:
            return ()
        if self._census.are_enough_outlying(outlier.server, self.settings.outliers.outlier_share):
            record.tally.kept += 1
            return ()
        decisions = self._failed(outlier.server, now, outlier.reason)
        if self.state(outlier.server) is not State.UP:
            record.turn_max_s = outlier.turn_max_s
        return decisions

    def connected(self, server: int) -> None:
        """A connection was made: the server is slow at worst."""
        if server in self._records:
            self._records[server].is_unreachable = False
            self._census.count(server)

    def link_lost(self, server: int, local_address: str, writes_in_flight: int) -> None:
        """A link was lost; the server may execute its writes in flight while it lists the connection."""
        if writes_in_flight and server in self._records:
            self._records[server].lost.add(local_address)
            self._records[server].is_stale = True
            self._census.count(server)
        elif writes_in_flight:
            self._members.add_lost_of_departed(server, local_address)

    def missed_writes(self, server: int, total: int, now: float, *, is_named: bool = True) -> None:
        """The counter of writes that did not reach the server, summed over all engines.

        `is_named`: the server's journal has the keys of all that are not settled.
        """
        self._stages.missed_writes(server, total, now, is_named=is_named)

    def slow(self, server: int, now: float) -> None:
        """Replies of the server came after the reply timeout."""
        if self.state(server) is State.UP:
            self._records[server].slow_at = now

    def stale(self, server: int) -> None:
        """The server has missed a write for good. Call before anything that may restore servers."""
        if server in self._records:
            self._records[server].is_stale = True
            self._census.count(server)

    def _failed(self, server: int, now: float, reason: Reason) -> tuple[Decision, ...]:
        record = self._records.get(server)
        if record is None:
            return ()
        was_up = record.health.state is State.UP
        record.suspect_at = now
        record.is_unreachable = reason.cause is Cause.UNREACHABLE
        self._census.count(server)
        decisions = self._panics.watch(now)
        if was_up and self.is_protected(server):
            # The engine may have tripped already: restore its state.
            record.tally.kept += 1
            # Stale values are better than no server, and worse than a late answer.
            is_last = self._census.is_last(server)
            return (*decisions, SetState(server, ServerState.UP, unless_stale=not is_last))
        if was_up:
            record.goes_out(reason)
        decisions += self._stages.move(server, Event.TRIPPED, now)
        if was_up:
            decisions += self._panics.watch(now)
        return tuple(decisions)

    def protected(self) -> frozenset[int]:
        """The servers in service that no failure ejects at present."""
        return frozenset(filter(self.is_protected, self._records))

    def is_protected(self, server: int) -> bool:
        return self._panics.is_protected(server)

    def take_touched(self) -> set[int]:
        """The servers whose `is_protected` may have changed since the last call."""
        return self._census.take_touched()

    # ---- who answers ----

    def process(self, server: int) -> Process | None:
        """The server's known process, at the last look."""
        record = self._records.get(server)
        return None if record is None else record.process

    def identified(self, server: int, seen: Seen) -> Kinship:
        """Takes the `stats` of the process at the server's address. Times are of any one clock.

        FOREIGN: do not use the process; call `found_foreign`, or report the current stage as failed. Any
        other process counts as the server's from now on.
        """
        record = self._records.get(server)
        if record is None:
            return Kinship.UNKNOWN
        kin = record.identified(seen, is_any_taken=server in self._any_process)
        if kin is not Kinship.SAME:
            self._duplicates.changed(server)
        if kin is Kinship.RESTARTED and server not in self._any_process and not seen.stats.keeps_items:
            self.cold.emptied(server)
        return kin

    def found_foreign(self, server: int, now: float) -> tuple[Decision, ...]:
        """A foreign process answers: the server goes out of service, even as the last one of its pool."""
        record = self._records.get(server)
        if record is None or not record.is_foreign:
            return ()
        record.suspect_at = now
        return self._take_out(server, now, Reason(Cause.FOREIGN))

    def found_set_back(self, server: int, now: float) -> tuple[Decision, ...]:
        """The process has an earlier uptime than before, and items: it is flushed, even as the last one.

        It may have been set back to a snapshot of its machine. Without effect on other servers.
        """
        record = self._records.get(server)
        if record is None or not record.is_set_back or record.health.state is not State.UP:
            return ()
        record.suspect_at = now
        return self._take_out(server, now, Reason(Cause.SET_BACK))

    def _take_out(self, server: int, now: float, reason: Reason) -> tuple[Decision, ...]:
        """Ejects the server regardless of the cap on ejections."""
        record = self._records[server]
        if record.health.state is State.UP:
            record.goes_out(reason)
        decisions = self._stages.move(server, Event.TRIPPED, now)
        return (*decisions, *self._panics.watch(now))

    # ---- one process under two names ----

    def lookalikes(self, server: int) -> list[int]:
        """The servers to compare this one with: they may be the same process.

        These are servers in service, and its former original. Call `compared` for each.
        """
        return self._duplicates.lookalikes(server) if server in self._records else []

    def resembling(self, seen: Seen) -> list[int]:
        """The servers in service that may be the process of a joining server, which sent these `stats`."""
        process = process_of(seen)
        return [] if process is None else self._duplicates.alike(process)

    def original(self, server: int) -> int | None:
        """The server that has the same process, and serves for both."""
        record = self._records.get(server)
        return None if record is None else record.original

    def compared(self, server: int, other: int, is_one: bool, now: float) -> tuple[Decision, ...]:
        """Reports whether a key stored on one of two servers was found on the other."""
        if server not in self._records or other not in self._records:
            return ()
        duplicate = self._duplicates.choose_duplicate(server, other) if is_one else None
        if duplicate is None:
            self._duplicates.tell_apart(server, other)
            self._census.count(server)
            self._census.count(other)
            return ()
        original = server if duplicate == other else other
        self._duplicates.join(duplicate, original)
        self._census.count(duplicate)
        process = self.process(original)
        details = (self._members.name(original), f" ({process})" if process else "")
        return self._take_out(duplicate, now, Reason(Cause.DUPLICATE, details))

    # ---- returning ----

    def probe_answered(self, server: int, now: float) -> tuple[Decision, ...]:
        """The server gave a real answer."""
        return tuple(self._stages.probe_answered(server, now))

    def probe_failed(self, server: int, now: float) -> tuple[Decision, ...]:
        return tuple(self._stages.probe_failed(server, now))

    def fence_answered(
        self, server: int, still_listed: Collection[str], now: float, is_blind: bool = False
    ) -> tuple[Decision, ...]:
        """Every open link has answered; the server still lists the lost connections `still_listed`.

        `is_blind`: the server's list does not show our connections, so they may be closed.
        """
        return tuple(self._stages.fence_answered(server, still_listed, now, is_blind))

    def fence_failed(self, server: int, now: float) -> tuple[Decision, ...]:
        return tuple(self._stages.fence_failed(server, now))

    def can_be_replayed(self, server: int) -> bool:
        """Whether deletes of the keys in the journal leave no stale value on the server."""
        record = self._records.get(server)
        return record is not None and record.why_flush is None

    def replays(self, server: int, now: float) -> bool:
        """Whether the server's replay may go on. Call at each sign of progress."""
        return self._stages.replays(server, now)

    def may_serve(self, server: int, now: float) -> bool:
        """Whether the ejection of a server of the plan is over."""
        return self._stages.may_serve(server, now)

    def replayed(
        self, server: int, missed: int, keys: int, now: float, *, is_restored: bool
    ) -> tuple[Decision, ...]:
        """So many keys are deleted from the server: all of the first `missed` missed writes.

        `is_restored`: the engine has restored the server in the same step. Call only if it `replays`.
        """
        return tuple(self._stages.replayed(server, missed, keys, now, is_restored=is_restored))

    def replay_failed(self, server: int, now: float, *, is_refused: bool = False) -> tuple[Decision, ...]:
        """Not all keys could be deleted. `is_refused`: the server does not take deletes."""
        return tuple(self._stages.replay_failed(server, now, is_refused=is_refused))

    def flush_answered(self, server: int, stats: ServerStats, now: float) -> tuple[Decision, ...]:
        """The server has run a flush_all, or was looked at, and then sent these `stats`.

        A complete flush leaves the server empty: writes that it misses until it serves leave no stale value.
        """
        return tuple(self._stages.flush_answered(server, stats, now))

    def flush_failed(self, server: int, now: float) -> tuple[Decision, ...]:
        return tuple(self._stages.flush_failed(server, now))

    def tick(self, now: float) -> tuple[Decision, ...]:
        """Handles everything that is due. Call at `next_wakeup()`, or at any time."""
        return (*self._stages.overdue(now), *self._panics.watch(now))
