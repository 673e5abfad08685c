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

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from random import Random
from types import MappingProxyType

from .alarms import Alarms
from .decisions import Decision, Fence, Flush, Look, PanicChanged, Probe, ServerState, SetState
from .flushing import Flushing, FlushSettings, FlushStep, ServerStats
from .health import OVERDUE, Event, Health, HealthSettings, State
from .nodes import Plan
from .pasts import Past
from .places import Place, Places, PlaceTable, continued, spelled
from .processes import Kinship, Process, Seen, kinship, process_of
from .records import Departed, Record
from .reports import Cause, Condition, PoolReport, ServerReport
from .servers import Server

__all__ = ("Supervisor", "SupervisorSettings")

_ENGINE_WORD = {
    State.UP: ServerState.UP,
    State.EJECTED: ServerState.EJECTED,
    State.PROBING: ServerState.EJECTED,
    State.FENCING: ServerState.RETURNING,
    State.FLUSHING: ServerState.RETURNING,
}


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """`panic_share` is the part of a pool that has to look bad, and more; times are in seconds."""

    health: HealthSettings = field(default_factory=HealthSettings)
    panic_share: float = 0.5
    # How long a server that was kept or lifted in spite of its failures is still counted as bad.
    suspect_s: float = 10.0
    # A server that still lists a lost connection is asked again after this time ...
    refence_s: float = 0.5
    # ... and for so long in one return; then it waits for its next retry time, like after any failure.
    fence_patience_s: float = 30.0
    # A lost connection that a server lists for so long, while it answers, has nothing left to execute ...
    fence_listed_s: float = 10.0
    # ... and where the server's list does not show our connections, after this time.
    fence_blind_s: float = 20.0
    flush: FlushSettings = field(default_factory=FlushSettings)


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
        self.plan: Plan = plan
        self.settings: SupervisorSettings = settings or SupervisorSettings()
        self._rng = rng
        self._ids: Mapping[str, int] = dict(plan.server_ids)
        places = _places_of(plan, places)
        self._records = {number: Record(places[name]) for name, number in self._ids.items()}
        self._panics: set[str] = set()
        self._departed = Departed()
        self._count_anew()

    # ---- what is counted, so that an event costs the same whatever the number of servers ----

    def _count_anew(self) -> None:
        """After a change of the plan."""
        self._order = {number: order for order, number in enumerate(self._records)}
        self._pools = _pools_of(self.plan, self._ids)
        self._pools_with: dict[int, list[int]] = {number: [] for number in self._records}
        for index, pool in enumerate(self._pools):
            for server in pool.members:
                self._pools_with[server].append(index)
        trusting = (pool for pool in self.plan.named_pools if pool.identity == "any")
        # Any process is taken for these.
        self._unquestioned = {self._ids[server.name] for pool in trusting for server in pool.servers}
        self._wakeups = Alarms()
        self._suspicions = Alarms()  # of servers that serve: when they are too old to count
        self._up: set[int] = set()
        self._bad: set[int] = set()
        self._unsuspicious: set[int] = set()  # not known to be stale
        self._touched: set[int] = set()
        self._unwatched = set(range(len(self._pools)))  # pools in which a panic may begin or end
        for server in self._records:
            self._count(server)

    def _count(self, server: int) -> None:
        """Due after each change of the server's record."""
        record = self._records[server]
        health = record.health
        is_up = health.state is State.UP
        is_suspected = is_up and record.suspect_at is not None
        times = [time for time in (health.due_at, record.again_at) if time is not None]
        self._wakeups.set(server, min(times, default=None))
        self._suspicions.set(server, self._suspicion_ends_at(record) if is_suspected else None)
        self._touched.add(server)
        (self._unsuspicious.discard if record.is_stale else self._unsuspicious.add)(server)
        if is_up is not (server in self._up):
            self._count_up(server, is_up)
        # One that has not failed yet, but is not trusted, says nothing about the network.
        if (is_suspected if is_up else health.attempt > 0) is not (server in self._bad):
            self._bad ^= {server}
            more = 1 if server in self._bad else -1
            for index in self._pools_with[server]:
                self._pools[index].bad += more
                self._unwatched.add(index)

    def _count_up(self, server: int, is_up: bool) -> None:
        self._up ^= {server}
        for index in self._pools_with[server]:
            up = self._pools[index].up
            (up.add if is_up else up.remove)(server)
            if len(up) <= 2:
                # Some server is the last one now, or no longer.
                self._touched |= up

    def _suspicion_ends_at(self, record: Record) -> float:
        assert record.suspect_at is not None
        return record.suspect_at + self.settings.suspect_s

    # ---- another plan ----

    def continued(self, plan: Plan, places: Places | None = None) -> dict[str, str]:
        """For that plan's servers which are in the present one, by name: the name that each has there."""
        places = _places_of(plan, places)
        before = {s.name: (s, self._records[self._ids[s.name]].place) for s in self.plan.servers}
        return continued(before, {s.name: (s, places[s.name]) for s in plan.servers})

    def outdated(self, plan: Plan, places: Places | None = None) -> tuple[Server, ...]:
        """Servers of that plan which left an earlier one, and have missed what was written since.

        They are to be flushed before the plan is installed.
        """
        stays = self.continued(plan, places)
        places = _places_of(plan, places)
        joining = (server for server in plan.servers if server.name not in stays)
        return tuple(server for server in joining if self._departed.has_been(places[server.name]))

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

        Not of those that stay and serve: what the engine has found out about these since is not to be undone.

        `ids` are those of its servers by name; without them they are indices. `missed` are the counters of
        missed writes, which for a server that joins are not about itself, or made up for by now. `unflushed`
        are those of `outdated` that could not be flushed: they begin out of service. So do servers that join
        at a place which cannot be told, or which may be that of a server that is out of service or leaves.

        A server that stays at its place keeps its record, whatever its name is. If a pool is left with none
        but ejected servers, those that are slow come back at once.
        """
        ids = dict(plan.server_ids if ids is None else ids)
        stays = self.continued(plan, places)
        places = _places_of(plan, places)
        known = {name: self._records[number] for name, number in self._ids.items()}
        staying = {name: known.pop(old) for name, old in stays.items()}
        unsafe = self._unsafe_places(known)
        for name, record in known.items():
            self._departed.add(record.place, self._ids[name], record.lost)
        before, self._records = self._records, {}
        for server in plan.servers:
            place = places[server.name]
            if server.name not in staying:
                is_unsafe = server in unflushed or not place or bool(unsafe.near(place))
                record = self._join(place, is_unsafe, now)
                record.missed = record.missed_settled = missed.get(ids[server.name], 0)
            elif not (record := staying[server.name]).place.isdisjoint(place):
                record.place |= place
            self._records[ids[server.name]] = record
        self._departed.forget_ids(self._records)
        self.settings = settings or self.settings
        self.plan = plan
        self._ids = ids
        self._panics.intersection_update(pool.name for pool in plan.named_pools)
        self._count_anew()
        states = [
            SetState(number, word, missed.get(number) if word is ServerState.UP else None)
            for number, record in self._records.items()
            if (word := _ENGINE_WORD[record.health.state]) is not ServerState.UP
            or before.get(number) is not record
        ]
        # A panic that goes on lifts once more: the new pool may consist of what was ejected in it.
        lifts = [self._lift_all(pool.members, now) for pool in self._pools if pool.name in self._panics]
        return (*states, *(decision for lift in lifts for decision in lift), *self._watch_panics(now))

    def _unsafe_places(self, leaving: Collection[str]) -> PlaceTable:
        """Places of servers which leave, with requests under way, and of those which may hold old values."""
        unsafe = PlaceTable()
        for name, number in self._ids.items():
            record = self._records[number]
            if name in leaving or record.has_debts or record.health.state is not State.UP:
                unsafe.add(number, record.place)
        return unsafe

    def _join(self, place: Place, is_unsafe: bool, now: float) -> Record:
        lost = self._departed.pop(place)
        if not is_unsafe and not lost:
            return Record(place, lost=lost)
        record = Record(place, Health(State.EJECTED, now, due_at=now), lost=lost, was_away=True)
        record.tally.eject(Cause.AWAY)
        return record

    def located(self, server: int, place: Place, now: float) -> tuple[Decision, ...]:
        """The server's address means this place from now on. At another one than before it is not trusted."""
        record = self._records.get(server)
        if record is None or not place:
            return ()
        before, record.place = record.place, place
        if not before or not before.isdisjoint(place):
            record.place |= before
            return ()
        self._departed.add(before, server, record.lost)
        record.lost = self._departed.pop(place)
        record.was_away = True
        record.process, record.is_foreign = None, False
        return self._failed(server, now, Cause.AWAY)

    # ---- an earlier process ----

    def recall(self, pasts: Sequence[Past], is_trusting: bool, now: float) -> tuple[Decision, ...]:
        """Begins where an earlier process has ended, before anything is asked of the plan's servers.

        Those that owe a flush or a fence begin out of service; so do those that no past is about, unless the
        supervisor is trusting.
        """
        table = PlaceTable()
        for i, past in enumerate(pasts):
            table.add(i, past.place)
        present: set[int] = set()
        decisions: list[Decision] = []
        for number, record in self._records.items():
            near = table.near(record.place)
            present |= near if record.place else set()
            record.was_away = any(pasts[i].owes for i in near) or not (near or is_trusting)
            record.lost = set().union(*(pasts[i].lost for i in near))
            if record.was_away or record.lost:
                record.health = Health(State.EJECTED, now, due_at=now)
                record.tally.eject(Cause.AWAY)
                decisions.append(SetState(number, ServerState.EJECTED))
            self._count(number)
        for i, past in enumerate(pasts):
            if i not in present:
                self._departed.add(past.place, -1, set(past.lost))
        return tuple(decisions)

    def is_only_fenced(self, server: int) -> bool:
        """Whether the server is out of service in its first try to return, and owes no flush."""
        record = self._records.get(server)
        if record is None or record.was_away or record.missed_something:
            return False
        return record.health.state is not State.UP and record.health.attempt == 0

    def remembered(self) -> list[Past]:
        """What another process has to know: of the plan's servers, and of those that have left."""
        present = [
            Past(
                record.place,
                record.has_debts or record.health.state is not State.UP,
                frozenset(record.lost),
                number,
                record.missed_settled,
            )
            for number, record in self._records.items()
        ]
        return present + [Past(place, owes=True, lost=frozenset(lost)) for place, lost in self._departed]

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
        if record is not None and record.is_foreign:
            return Condition.FOREIGN
        if record is None or record.health.state is not State.UP:
            return Condition[self.state(server).name]
        if record.suspect_at is not None and now < self._suspicion_ends_at(record):
            return Condition.FAILING
        is_slow = record.slow_at is not None and now < record.slow_at + self.settings.suspect_s
        return Condition.SLOW if is_slow else Condition.UP

    @property
    def serving(self) -> Collection[int]:
        """The servers that are UP."""
        return self._up

    @property
    def unsuspicious(self) -> Collection[int]:
        """The servers that `stale` was not said of since they were put in order."""
        return self._unsuspicious

    def servers(self, now: float) -> dict[str, ServerReport]:
        """How each server of the plan is and has been, by name."""
        return {
            name: ServerReport(
                self.state(number), self._records[number].tally.copy(), self.condition(number, now)
            )
            for name, number in self._ids.items()
        }

    def pools(self, now: float) -> dict[str, PoolReport]:
        """How each pool is that users named."""
        return {
            pool.name: PoolReport(
                len(pool.members), self._count_well(pool.members, now), self.is_panic(pool.name)
            )
            for pool in self._pools
        }

    def _count_well(self, members: Sequence[int], now: float) -> int:
        return sum(self.condition(server, now) in (Condition.UP, Condition.SLOW) for server in members)

    def next_wakeup(self) -> float | None:
        """When `tick` is due; None while nothing is awaited."""
        # A panic ends when enough suspicions have grown old.
        times = (self._wakeups.next(), self._suspicions.next() if self._panics else None)
        return min((time for time in times if time is not None), default=None)

    # ---- failures ----

    def tripped(self, server: int, now: float, cause: Cause | None = None) -> tuple[Decision, ...]:
        """The engine has ejected the server, and counted why; or it is to be ejected for this cause."""
        return self._failed(server, now, cause)

    def connect_failed(self, server: int, now: float) -> tuple[Decision, ...]:
        """A connection was refused or not made in time: nothing can be sent there."""
        return self._failed(server, now, Cause.UNREACHABLE)

    def connected(self, server: int) -> None:
        """A connection was made: the server is at most slow."""
        if server in self._records:
            self._records[server].is_unreachable = False
            self._count(server)

    def link_lost(self, server: int, local_address: str, writes_in_flight: int) -> None:
        """A link went; the server may execute its writes in flight as long as it lists the connection."""
        if writes_in_flight and server in self._records:
            self._records[server].lost.add(local_address)
            self._records[server].is_stale = True
            self._count(server)
        elif writes_in_flight:
            self._departed.link_lost(server, local_address)

    def missed_writes(self, server: int, total: int) -> None:
        """The counter of writes that did not reach the server, summed over all engines."""
        if server in self._records:
            self._records[server].missed = max(self._records[server].missed, total)

    def slow(self, server: int, now: float) -> None:
        """Its replies come, but some have taken longer than the reply timeout."""
        if self.state(server) is State.UP:
            self._records[server].slow_at = now

    def stale(self, server: int) -> None:
        """It has missed a write for good, not only by a timeout. Due before whatever may lift servers."""
        if server in self._records:
            self._records[server].is_stale = True
            self._count(server)

    def _failed(self, server: int, now: float, cause: Cause | None) -> tuple[Decision, ...]:
        record = self._records.get(server)
        if record is None:
            return ()
        was_up = record.health.state is State.UP
        record.suspect_at = now
        record.is_unreachable = cause is Cause.UNREACHABLE
        self._count(server)
        decisions = self._watch_panics(now)
        if was_up and self.is_kept(server):
            # The engine may have tripped already: put it back.
            record.tally.kept += 1
            # Old values are better than nobody, and worse than an answer that is late.
            is_last = self._is_last(server)
            return (*decisions, SetState(server, ServerState.UP, unless_stale=not is_last))
        decisions += self._move(server, Event.TRIPPED, now)
        if was_up:
            if cause is not None:
                record.tally.eject(cause)
            decisions += self._watch_panics(now)
        return tuple(decisions)

    def kept(self) -> frozenset[int]:
        """The servers in service that no failure takes out of it, as things stand."""
        return frozenset(filter(self.is_kept, self._records))

    def is_kept(self, server: int) -> bool:
        if server not in self._up:
            return False
        pools = (self._pools[index].name for index in self._pools_with[server])
        return self._is_last(server) or (
            self._is_only_slow(server) and any(name in self._panics for name in pools)
        )

    def take_touched(self) -> set[int]:
        """The servers of which `is_kept` may say another thing than when this was called last."""
        touched, self._touched = self._touched, set()
        return touched

    def _is_last(self, server: int) -> bool:
        """Beside whom none of some pool serves."""
        pools = (self._pools[index] for index in self._pools_with[server])
        return server in self._up and any(len(pool.up) == 1 for pool in pools)

    def _is_only_slow(self, server: int) -> bool:
        record = self._records[server]
        return record.health.state is State.UP and not record.is_unreachable and not record.has_debts

    # ---- panic ----

    def _watch_panics(self, now: float) -> list[Decision]:
        for server in self._suspicions.take_due(now):
            self._records[server].suspect_at = None
            self._count(server)
        decisions: list[Decision] = []
        # In the order of the pools; what a panic changes in an earlier one is looked at the next time.
        waiting = list(self._unwatched)
        heapify(waiting)
        while waiting:
            index = heappop(waiting)
            if index in self._unwatched:
                self._unwatched.remove(index)
                changes = self._watch_panic(self._pools[index], now)
                for other in self._pools_beside(index) if changes else ():
                    if other > index:
                        heappush(waiting, other)
                decisions += changes
        return decisions

    def _pools_beside(self, index: int) -> set[int]:
        """Those that have servers of this one and are not watched since these changed."""
        with_them = (other for s in self._pools[index].members for other in self._pools_with[s])
        return self._unwatched.intersection(with_them)

    def _watch_panic(self, pool: _Pool, now: float) -> list[Decision]:
        is_panic = pool.bad > self.settings.panic_share * len(pool.members)
        if is_panic is (pool.name in self._panics):
            return []
        self._panics ^= {pool.name}
        self._touched.update(pool.members)
        decisions: list[Decision] = [PanicChanged(pool.name, is_panic)]
        return decisions + self._lift_all(pool.members, now) if is_panic else decisions

    def _lift_all(self, members: tuple[int, ...], now: float) -> list[Decision]:
        return [decision for server in members for decision in self._lift(server, now)]

    def _lift(self, server: int, now: float) -> list[Decision]:
        record = self._records[server]
        if record.is_unreachable or record.is_foreign or record.health.state is not State.EJECTED:
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
        if record.process is not None and seen.asked_at < record.process.alive_at:
            # It comes late: somebody has been asked since.
            return Kinship.UNKNOWN
        kin = kinship(record.process, seen)
        if kin is Kinship.FOREIGN and server not in self._unquestioned:
            record.is_foreign = True
            return kin
        record.is_foreign = False
        record.process = process_of(seen) or record.process
        return Kinship.RESTARTED if kin is Kinship.FOREIGN else kin

    def estranged(self, server: int, now: float) -> tuple[Decision, ...]:
        """A foreign process answers: out of service, also the last one of its pool, which is not there."""
        record = self._records.get(server)
        if record is None or not record.is_foreign:
            return ()
        was_up = record.health.state is State.UP
        record.suspect_at = now
        decisions = self._move(server, Event.TRIPPED, now)
        if was_up:
            record.tally.eject(Cause.FOREIGN)
        return (*decisions, *self._watch_panics(now))

    # ---- returning ----

    def probe_answered(self, server: int, now: float) -> tuple[Decision, ...]:
        """The server gave a real answer."""
        if self.state(server) is not State.PROBING:
            return ()
        record = self._records[server]
        record.is_unreachable = False
        record.suspect_at = None
        self._count(server)
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
        # A link that was lost while this fence was under way was not asked for, and is not settled by it.
        record.lost -= record.fencing - set(still_listed)
        record.listed_since = {name: record.listed_since.get(name, now) for name in still_listed}
        most_s = self.settings.fence_blind_s if is_blind else self.settings.fence_listed_s
        # No packet of theirs is still to come, and a server that answers has read what came.
        record.lost -= {name for name, since in record.listed_since.items() if now >= since + most_s}
        if not record.lost:
            return tuple(self._move(server, Event.FENCED, now))
        if now >= record.stage_ends_at:
            return tuple(self._move(server, Event.FENCE_FAILED, now))
        record.again_at = now + self.settings.refence_s
        self._count(server)
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
        self._count(server)
        return ()

    def flush_failed(self, server: int, now: float) -> tuple[Decision, ...]:
        return tuple(self._move(server, Event.FLUSH_FAILED, now))

    def tick(self, now: float) -> tuple[Decision, ...]:
        """What has become due. Call at `next_wakeup()`, or at any time."""
        decisions: list[Decision] = []
        for server in sorted(self._wakeups.take_due(now), key=self._order.__getitem__):
            record = self._records[server]
            if record.again_at is not None and now >= record.again_at:
                decisions += self._again(server, now)
            else:
                decisions += self._move(server, OVERDUE[record.health.state], now)
            self._count(server)
        return (*decisions, *self._watch_panics(now))

    def _again(self, server: int, now: float) -> list[Decision]:
        record = self._records[server]
        record.again_at = None
        # Awaiting this answer is a new stage of its own, with the whole time for it.
        record.health = record.health.renewed(now, self.settings.health)
        self._count(server)
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
            record.is_stale = False
        self._count(server)
        decisions: list[Decision] = []
        word = _ENGINE_WORD[record.health.state]
        # A trip is always confirmed: the engine may have put its own word there meanwhile.
        if word is not _ENGINE_WORD[before.state] or event is Event.TRIPPED:
            # What it misses while it is out is no reason to stay so, if it was emptied before.
            missed = record.missed if event is Event.NOTHING_MISSED else None
            decisions.append(SetState(server, word, missed, unless_stale=event is Event.LIFTED))
        return decisions + self._enter(server, now)

    def _enter(self, server: int, now: float) -> list[Decision]:
        """What the server's new state asks for."""
        record = self._records[server]
        state = record.health.state
        if state is State.PROBING:
            return [Probe(server)]
        if state is State.FENCING:
            record.stage_ends_at = now + self.settings.fence_patience_s
            record.listed_since = {}
            return self._fence(server)
        if state is State.FLUSHING:
            if not record.missed_something:
                return self._move(server, Event.NOTHING_MISSED, now)
            record.flushing = Flushing(self.settings.flush)
            record.stage_ends_at = now + self.settings.flush.timeout_s
            return self._flush(server)
        return []


@dataclass(slots=True)
class _Pool:
    """One that users named: the cap is about these. Servers are ids."""

    name: str
    members: tuple[int, ...]
    up: set[int] = field(default_factory=set)
    bad: int = 0  # members that have failed, or are suspected


def _pools_of(plan: Plan, ids: Mapping[str, int]) -> list[_Pool]:
    return [_Pool(pool.name, tuple(ids[server.name] for server in pool.servers)) for pool in plan.named_pools]


def _places_of(plan: Plan, places: Places | None) -> Places:
    return {server.name: spelled(server) for server in plan.servers} if places is None else places
