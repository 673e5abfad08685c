"""The supervisor: is told what was seen, keeps one record a server, and returns what to do about it.

Whom to take out of service: the engine trips by itself after failures in a row; the supervisor confirms, or
lifts it again, because ejections have a cap. The last server of a pool stays. When more than half of a pool
looks bad, the signal is probably wrong, and servers that are only slow stay or come back; those that refuse
connections stay out, and those that may hold old values are put in order first. The engine is told beforehand
whom the cap keeps, so that it need not be lifted.

When to trust again: an ejected server is probed after a growing time, fenced (no request of ours from before
can still be executed), flushed if it missed writes, and only then serves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from heapq import heapify, heappop, heappush
from random import Random
from types import MappingProxyType

from .causes import Cause, Reason
from .census import Census, PoolCount
from .decisions import Decision, Fence, Flush, Look, PanicChanged, Probe, ServerState, SetState
from .duplicates import Duplicates
from .flushing import Flushing, FlushStep, ServerStats
from .health import OVERDUE, Event, State
from .members import Members
from .nodes import Plan
from .pasts import Past
from .places import Place, Places
from .processes import Kinship, Process, Seen, process_of
from .reports import Condition, PoolReport, ServerReport
from .servers import Server
from .supervisor_settings import SupervisorSettings

__all__ = ("Supervisor",)

_ENGINE_WORD = {
    State.UP: ServerState.UP,
    State.EJECTED: ServerState.EJECTED,
    State.PROBING: ServerState.EJECTED,
    State.FENCING: ServerState.RETURNING,
    State.FLUSHING: ServerState.RETURNING,
}

_FAILURES, _UNREACHABLE = Reason(Cause.FAILURES), Reason(Cause.UNREACHABLE)


class Supervisor:
    """Health of the servers of one plan. Not thread-safe; `now` is any clock that does not go backwards.

    Every method returns the decisions to carry out, in order. Servers are ids: indices into `plan.servers`,
    until `install` says otherwise. A report on a server that is not in the plan (any more) changes nothing.

    `places` are those of the plan's servers by name, empty where a name is not looked up yet; without them
    each address is a place.
    """

    def __init__(
        self,
        plan: Plan,
        rng: Random,
        settings: SupervisorSettings | None = None,
        places: Places | None = None,
    ) -> None:
        self.settings: SupervisorSettings = settings or SupervisorSettings()
        self._rng = rng
        self._panics: set[str] = set()
        self._members = Members(plan, places)
        self._duplicates = Duplicates()
        self._count_anew()

    def _count_anew(self) -> None:
        """After a change of the plan."""
        self._records = self._members.records
        plan, ids = self.plan, self._members.ids
        self._census = Census(plan, ids, self._records, self.settings.suspect_s)
        # Any process is taken for these.
        self._unquestioned = {ids[name] for name, own in plan.server_options.items() if own.identity == "any"}
        self._duplicates.supervise(self._records, self._census, self._unquestioned)

    @property
    def plan(self) -> Plan:
        return self._members.plan

    # ---- another plan ----

    def continued(self, plan: Plan, places: Places | None = None) -> dict[str, str]:
        """For that plan's servers which are in the present one, by name: the name that each has there."""
        return self._members.continued(plan, places)

    def outdated(self, plan: Plan, places: Places | None = None) -> tuple[Server, ...]:
        """Servers of that plan which left an earlier one, and have missed what was written since.

        They are to be flushed before the plan is installed.
        """
        return self._members.outdated(plan, places)

    def is_foreign(self, server: Server, plan: Plan, place: Place, seen: Seen) -> bool:
        """For one of `outdated`: whether another process answers than the one that left, or its restart."""
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
        """Goes on with another plan, and returns the states of its servers.

        Omits servers that stay UP: the engine may know more of them than the supervisor.

        `ids` are those of its servers by name; without them they are indices. `missed` are the counters of
        missed writes, which for a server that joins are not about itself, or made up for by now. `unflushed`
        are those of `outdated` that could not be flushed: they begin out of service. So do servers that join
        at a place which cannot be told, or which may be that of a server that is out of service or leaves.

        A server that stays at its place keeps its record, whatever its name is. If a pool is left with none
        but ejected servers, those that are slow come back at once.
        """
        other = set(self._members.install(plan, now, ids, missed, unflushed, places))
        self.settings = settings or self.settings
        self._panics.intersection_update(pool.name for pool in plan.named_pools)
        self._count_anew()
        self._duplicates.retain(other, now)
        states = [
            SetState(
                number, word, missed.get(number) if word is ServerState.UP else None, reason=record.reason
            )
            for number, record in self._records.items()
            if (word := _ENGINE_WORD[record.health.state]) is not ServerState.UP or number in other
        ]
        # A panic that goes on lifts once more: the new pool may consist of what was ejected in it.
        panics = (pool for pool in self._census.pools if pool.name in self._panics)
        lifts = [self._lift_all(pool.members, now) for pool in panics]
        return (*states, *(decision for lift in lifts for decision in lift), *self._watch_panics(now))

    def located(self, server: int, place: Place, now: float) -> tuple[Decision, ...]:
        """The server's address means this place from now on. At another one than before it is not trusted."""
        if server not in self._records or not place or not self._members.moved(server, place):
            return ()
        self._duplicates.changed(server)
        return self._failed(server, now, Reason(Cause.MOVED))

    # ---- an earlier process ----

    def recall(self, pasts: Sequence[Past], is_trusting: bool, now: float) -> tuple[Decision, ...]:
        """Begins where an earlier process has ended, before anything is asked of the plan's servers.

        Those that owe a flush or a fence begin out of service; so do those that no past is about, unless the
        supervisor is trusting.
        """
        out = self._members.recall(pasts, is_trusting, now)
        for number in self._records:
            self._census.count(number)
        return tuple(
            SetState(number, ServerState.EJECTED, reason=self._records[number].reason) for number in out
        )

    def remembered(self) -> list[Past]:
        """What another process has to know: of the plan's servers, and of those that have left."""
        return self._members.remembered()

    def is_only_fenced(self, server: int) -> bool:
        """Whether the server is out of service in its first try to return, and owes no flush."""
        record = self._records.get(server)
        return record is not None and record.is_only_fenced

    # ---- looking at it ----

    def state(self, server: int) -> State:
        """EJECTED also for a server that is not in the plan: it is not to be asked."""
        record = self._records.get(server)
        return State.EJECTED if record is None else record.health.state

    def flushes(self, server: int) -> int:
        """How often a server of the plan was flushed on its return."""
        return self._records[server].tally.flushes

    def is_panic(self, pool: str) -> bool:
        return pool in self._panics

    def condition(self, server: int, now: float) -> Condition:
        """How the server is, for reports."""
        record = self._records.get(server)
        return Condition.EJECTED if record is None else record.condition(now, self.settings.suspect_s)

    def reasons(self) -> dict[str, Reason]:
        """Why servers are out of service, by name."""
        reports = ((name, self._records[number]) for name, number in self._members.ids.items())
        return {name: record.reason for name, record in reports if record.reason is not None}

    @property
    def serving(self) -> Set[int]:
        """The servers that are UP."""
        return self._census.up

    @property
    def unsuspicious(self) -> Set[int]:
        """The servers that `stale` was not said of since they were put in order."""
        return self._census.unsuspicious

    def servers(self, now: float) -> dict[str, ServerReport]:
        """How each server of the plan is and has been, by name."""
        return self._members.reports(now, self.settings.suspect_s)

    def pools(self, now: float) -> dict[str, PoolReport]:
        """How each pool is that users named."""
        return self._census.reports(now, self._panics)

    def bad(self, pool: str) -> tuple[list[int], int]:
        """The servers of a pool that have failed, or are suspected, and how many servers it has."""
        return self._census.bad(pool)

    def next_wakeup(self) -> float | None:
        """When `tick` is due; None while nothing is awaited."""
        # A panic ends when enough suspicions have grown old.
        times = (self._census.wakeups.next(), self._census.suspicions.next() if self._panics else None)
        return min((time for time in times if time is not None), default=None)

    # ---- failures ----

    def tripped(self, server: int, now: float, reason: Reason = _FAILURES) -> tuple[Decision, ...]:
        """The engine has ejected the server, or it is to be ejected, for this reason."""
        return self._failed(server, now, reason)

    def connect_failed(self, server: int, now: float, reason: Reason = _UNREACHABLE) -> tuple[Decision, ...]:
        """A connection was refused or not made in time: nothing can be sent there."""
        return self._failed(server, now, reason)

    def connected(self, server: int) -> None:
        """A connection was made: the server is at most slow."""
        if server in self._records:
            self._records[server].is_unreachable = False
            self._census.count(server)

    def link_lost(self, server: int, local_address: str, writes_in_flight: int) -> None:
        """A link went; the server may execute its writes in flight as long as it lists the connection."""
        if writes_in_flight and server in self._records:
            self._records[server].lost.add(local_address)
            self._records[server].is_stale = True
            self._census.count(server)
        elif writes_in_flight:
            self._members.add_lost_of_departed(server, local_address)

    def missed_writes(self, server: int, total: int) -> None:
        """The counter of writes that did not reach the server, summed over all engines."""
        if server in self._records:
            self._records[server].missed = max(self._records[server].missed, total)

    def slow(self, server: int, now: float) -> None:
        """Its replies come, but some have taken longer than the reply timeout."""
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
        decisions = self._watch_panics(now)
        if was_up and self.is_kept(server):
            # The engine may have tripped already: put it back.
            record.tally.kept += 1
            # Old values are better than nobody, and worse than an answer that is late.
            is_last = self._census.is_last(server)
            return (*decisions, SetState(server, ServerState.UP, unless_stale=not is_last))
        if was_up:
            record.goes_out(reason)
        decisions += self._move(server, Event.TRIPPED, now)
        if was_up:
            decisions += self._watch_panics(now)
        return tuple(decisions)

    def kept(self) -> frozenset[int]:
        """The servers in service that no failure takes out of it, as things stand."""
        return frozenset(filter(self.is_kept, self._records))

    def is_kept(self, server: int) -> bool:
        if server not in self._census.up:
            return False
        pools = (self._census.pools[index].name for index in self._census.pools_with[server])
        return self._census.is_last(server) or (
            self._records[server].is_only_slow and any(name in self._panics for name in pools)
        )

    def take_touched(self) -> set[int]:
        """The servers of which `is_kept` may say another thing than when this was called last."""
        return self._census.take_touched()

    # ---- panic ----

    def _watch_panics(self, now: float) -> list[Decision]:
        for server in self._census.suspicions.take_due(now):
            self._records[server].suspect_at = None
            self._census.count(server)
        decisions: list[Decision] = []
        # In the order of the pools; what a panic changes in an earlier one is looked at the next time.
        waiting = list(self._census.unwatched)
        heapify(waiting)
        while waiting:
            index = heappop(waiting)
            if index in self._census.unwatched:
                self._census.unwatched.remove(index)
                changes = self._watch_panic(self._census.pools[index], now)
                for other in self._census.pools_beside(index) if changes else ():
                    if other > index:
                        heappush(waiting, other)
                decisions += changes
        return decisions

    def _watch_panic(self, pool: PoolCount, now: float) -> list[Decision]:
        is_panic = pool.bad > self.settings.panic_share * len(pool.members)
        if is_panic is (pool.name in self._panics):
            return []
        self._panics ^= {pool.name}
        self._census.touch(pool.members)
        decisions: list[Decision] = [PanicChanged(pool.name, is_panic)]
        return decisions + self._lift_all(pool.members, now) if is_panic else decisions

    def _lift_all(self, members: tuple[int, ...], now: float) -> list[Decision]:
        return [decision for server in members for decision in self._lift(server, now)]

    def _lift(self, server: int, now: float) -> list[Decision]:
        record = self._records[server]
        if record.is_unreachable or record.is_foreign or record.health.state is not State.EJECTED:
            return []
        if record.original is not None:
            return []
        record.suspect_at = now
        return self._move(server, Event.LIFTED_IN_DEBT if record.has_debts else Event.LIFTED, now)

    # ---- who answers ----

    def process(self, server: int) -> Process | None:
        """The server's own, as it was last seen."""
        record = self._records.get(server)
        return None if record is None else record.process

    def identified(self, server: int, seen: Seen) -> Kinship:
        """The process that answers at the server's address said this of itself. Times are of any one clock.

        FOREIGN: it is not to be used, and `estranged` or the failure of the stage under way is due. All else
        is taken for the server from now on.
        """
        record = self._records.get(server)
        if record is None:
            return Kinship.UNKNOWN
        kin = record.identified(seen, is_any_taken=server in self._unquestioned)
        if kin is not Kinship.SAME:
            self._duplicates.changed(server)
        return kin

    def estranged(self, server: int, now: float) -> tuple[Decision, ...]:
        """A foreign process answers: out of service, also the last one of its pool, which is not there."""
        record = self._records.get(server)
        if record is None or not record.is_foreign:
            return ()
        record.suspect_at = now
        return self._put_out(server, now, Reason(Cause.FOREIGN))

    def _put_out(self, server: int, now: float, reason: Reason) -> tuple[Decision, ...]:
        """Whatever the cap on ejections says."""
        record = self._records[server]
        if record.health.state is State.UP:
            record.goes_out(reason)
        decisions = self._move(server, Event.TRIPPED, now)
        return (*decisions, *self._watch_panics(now))

    # ---- one process under two names ----

    def lookalikes(self, server: int) -> list[int]:
        """The servers that this one is to be compared with: they may be the same process.

        Those that serve, and the one that it was a duplicate of. `compared` is due for each.
        """
        return self._duplicates.lookalikes(server) if server in self._records else []

    def resembling(self, seen: Seen) -> list[int]:
        """The servers in service that may be the process which said this of a server that joins."""
        process = process_of(seen)
        return [] if process is None else self._duplicates.alike(process)

    def original(self, server: int) -> int | None:
        """The server whose process answers at this one's address too, and which serves for both."""
        record = self._records.get(server)
        return None if record is None else record.original

    def compared(self, server: int, other: int, is_one: bool, now: float) -> tuple[Decision, ...]:
        """What is stored on one of two servers is found on the other one, or not."""
        if server not in self._records or other not in self._records:
            return ()
        duplicate = self._duplicates.gives_way(server, other) if is_one else None
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
        return self._put_out(duplicate, now, Reason(Cause.DUPLICATE, details))

    # ---- returning ----

    def probe_answered(self, server: int, now: float) -> tuple[Decision, ...]:
        """The server gave a real answer."""
        if self.state(server) is not State.PROBING:
            return ()
        record = self._records[server]
        record.is_unreachable = False
        record.suspect_at = None
        self._census.count(server)
        return tuple(self._move(server, Event.PROBE_ANSWERED, now))

    def probe_failed(self, server: int, now: float) -> tuple[Decision, ...]:
        return tuple(self._move(server, Event.PROBE_FAILED, now))

    def fence_answered(
        self, server: int, still_listed: Collection[str], now: float, is_blind: bool = False
    ) -> tuple[Decision, ...]:
        """Every open link has answered; `still_listed` are those of the lost connections that remain.

        `is_blind`: they may be gone, and the server's list does not show it.
        """
        if self.state(server) is not State.FENCING:
            return ()
        record = self._records[server]
        if record.again_at is not None:
            return ()
        most_s = self.settings.fence_blind_s if is_blind else self.settings.fence_listed_s
        record.settle_lost(still_listed, now, most_s)
        if not record.lost:
            return tuple(self._move(server, Event.FENCED, now))
        if now >= record.stage_ends_at:
            return tuple(self._move(server, Event.FENCE_FAILED, now))
        record.again_at = now + self.settings.refence_s
        self._census.count(server)
        return ()

    def fence_failed(self, server: int, now: float) -> tuple[Decision, ...]:
        return tuple(self._move(server, Event.FENCE_FAILED, now))

    def flush_answered(self, server: int, stats: ServerStats, now: float) -> tuple[Decision, ...]:
        """The server has carried out a flush_all, or was looked at, and then said this of itself.

        When the flush is certain the server is empty, and what it misses until it serves finds nothing there.
        """
        record = self._records.get(server)
        if record is None or record.health.state is not State.FLUSHING or record.again_at is not None:
            return ()
        if record.lost:
            # A link was lost since the fence: its writes may yet follow the flush.
            return tuple(self._move(server, Event.FLUSH_FAILED, now))
        assert record.flushing is not None
        step = record.flushing.heard(stats, now)
        if step is not FlushStep.DONE:
            return self._flush_goes_on(server, step, now)
        record.tally.flushes += 1
        record.missed_settled = record.missed
        record.was_away = False
        return tuple(self._move(server, Event.FLUSHED, now))

    def _flush_goes_on(self, server: int, step: FlushStep, now: float) -> tuple[Decision, ...]:
        record = self._records[server]
        if now >= record.stage_ends_at:
            return tuple(self._move(server, Event.FLUSH_FAILED, now))
        if step is FlushStep.FLUSH_NOW:
            return tuple(self._again(server, now))
        record.again_at = now + self.settings.flush.again_s
        self._census.count(server)
        return ()

    def flush_failed(self, server: int, now: float) -> tuple[Decision, ...]:
        return tuple(self._move(server, Event.FLUSH_FAILED, now))

    def tick(self, now: float) -> tuple[Decision, ...]:
        """What has become due. Call at `next_wakeup()`, or at any time."""
        decisions: list[Decision] = []
        for server in sorted(self._census.wakeups.take_due(now), key=self._census.order.__getitem__):
            record = self._records[server]
            if record.again_at is not None and now >= record.again_at:
                decisions += self._again(server, now)
            else:
                decisions += self._move(server, OVERDUE[record.health.state], now)
            self._census.count(server)
        return (*decisions, *self._watch_panics(now))

    def _again(self, server: int, now: float) -> list[Decision]:
        record = self._records[server]
        record.again_at = None
        # Awaiting this answer is a new stage of its own, with the whole time for it.
        record.health = record.health.renewed(now, self.settings.health)
        self._census.count(server)
        return self._fence(server) if record.health.state is State.FENCING else self._flush(server)

    def _fence(self, server: int) -> list[Decision]:
        record = self._records[server]
        record.fencing = frozenset(record.lost)
        return [Fence(server, record.fencing, record.was_away)]

    def _flush(self, server: int) -> list[Decision]:
        record = self._records[server]
        assert record.flushing is not None
        if record.flushing.step is FlushStep.LOOK:
            return [Look(server)]
        return [Flush(server, record.flushing.delay_s)]

    # ---- the one place where a state changes ----

    def _move(self, server: int, event: Event, now: float) -> list[Decision]:
        record = self._records.get(server)
        if record is None:
            return []
        before = record.health
        record.health = before.after(event, now, self.settings.health, self._rng)
        if record.health is before:
            return []
        record.again_at = None
        if record.health.state is State.UP:
            record.tally.returns += 1
            record.reason = None
            record.is_stale = False
            # A failure that is too old by now would only ask for a tick at a time that has passed.
            if record.suspect_at is not None and self._census.suspicion_ends_at(record) <= now:
                record.suspect_at = None
        elif before.state is State.UP:
            # Perhaps it answers under another name.
            for duplicate in self._duplicates.of(server):
                self._duplicates.hurry(duplicate, now)
        self._census.count(server)
        decisions: list[Decision] = []
        word = _ENGINE_WORD[record.health.state]
        # A trip is always confirmed: the engine may have put its own word there meanwhile.
        if word is not _ENGINE_WORD[before.state] or event is Event.TRIPPED:
            # What it misses while it is out is no reason to stay so, if it was emptied before.
            missed = record.missed if event is Event.NOTHING_MISSED else None
            decisions.append(SetState(server, word, missed, event is Event.LIFTED, record.reason))
        return decisions + self._enter(server, now)

    def _enter(self, server: int, now: float) -> list[Decision]:
        """What the server's new state asks for."""
        record = self._records[server]
        state = record.health.state
        if state is State.PROBING:
            return [Probe(server)]
        if state is State.FENCING:
            record.stage_ends_at = now + self.settings.fence_timeout_s
            record.listed_since = {}
            return self._fence(server)
        if state is State.FLUSHING:
            if not record.missed_something:
                return self._move(server, Event.NOTHING_MISSED, now)
            record.flushing = Flushing(self.settings.flush)
            record.stage_ends_at = now + self.settings.flush.timeout_s
            return self._flush(server)
        return []
