"""A server's way through its states: an event, and the decisions that the new state requires.

An ejected server is probed after a growing time, and fenced: then no earlier request can still be executed.
If it missed writes, their keys are deleted, or it is flushed. Only then it serves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import replace
from random import Random

from .causes import Cause, FlushCause, Reason
from .census import Census
from .decisions import Decision, Fence, Flush, Look, Probe, Replay, ServerState, SetState
from .duplicates import Duplicates
from .flushing import Flushing, FlushStep, ServerStats
from .health import OVERDUE, Event, State
from .records import Record
from .supervisor_settings import SupervisorSettings
from .warming import ColdServers

__all__ = ("ENGINE_STATES", "Stages")

# The engine's state of a server in each of the supervisor's.
ENGINE_STATES: dict[State, ServerState] = {
    State.UP: ServerState.UP,
    State.EJECTED: ServerState.EJECTED,
    State.PROBING: ServerState.EJECTED,
    State.FENCING: ServerState.RETURNING,
    State.REPLAYING: ServerState.RETURNING,
    State.FLUSHING: ServerState.RETURNING,
}


class Stages:
    """The only part that changes states. Call `supervise` first, and after each change of the plan.

    Methods return decisions, to be carried out in order. Servers are ids; a report on one that is not in the
    plan changes nothing. Reports are those of `Supervisor`.
    """

    def __init__(self, duplicates: Duplicates, cold: ColdServers, rng: Random) -> None:
        self._duplicates = duplicates
        self._cold = cold
        self._rng = rng
        self._in_order: set[int] = set()

    def supervise(self, records: Mapping[int, Record], census: Census, settings: SupervisorSettings) -> None:
        self._records = records
        self._census = census
        self._settings = settings
        self._in_order.intersection_update(records)
        for server in records:
            self.sort(server)

    def _in(self, state: State, server: int) -> Record | None:
        """The server's record, if the server is in this state."""
        record = self._records.get(server)
        return record if record is not None and record.health.state is state else None

    # ---- missed writes ----

    @property
    def out_in_order(self) -> Set[int]:
        """The servers that are out of service, and missed no write as far as is reported."""
        return self._in_order

    def sort(self, server: int) -> None:
        """Updates `out_in_order`, after a change of the server's record."""
        record = self._records[server]
        is_in_order = record.health.state is not State.UP and not record.missed_something
        (self._in_order.add if is_in_order else self._in_order.discard)(server)

    def missed_writes(self, server: int, total: int, now: float, *, is_named: bool) -> None:
        record = self._records.get(server)
        if record is None:
            return
        record.missed = max(record.missed, total)
        record.is_named = is_named
        if server in self._in_order and record.missed_something:
            self._in_order.remove(server)
            self._probe_soon(server, now)

    def _probe_soon(self, server: int, now: float) -> None:
        """Probes a server that missed writes: meanwhile other proxies may read its old values."""
        delay_s = self._stale_delay(server)
        if delay_s is not None:
            self._records[server].health = self._records[server].health.probed_at(now + delay_s)
            self._census.count(server)

    def _stale_delay(self, server: int) -> float | None:
        """The time to the next probe of a server that missed writes; None for other servers."""
        record = self._records[server]
        if not record.missed_something or record.is_foreign or record.original is not None or record.is_down:
            return None
        out = len(self._records) - len(self._census.up)
        return self._settings.health.stale_delay(out, self._rng)

    # ---- answers ----

    def probe_answered(self, server: int, now: float) -> list[Decision]:
        record = self._in(State.PROBING, server)
        if record is None:
            return []
        record.is_unreachable = False
        record.suspect_at = None
        self._census.count(server)
        return self.move(server, Event.PROBE_ANSWERED, now)

    def probe_failed(self, server: int, now: float) -> list[Decision]:
        return self.move(server, Event.PROBE_FAILED, now)

    def fence_answered(
        self, server: int, still_listed: Collection[str], now: float, is_blind: bool = False
    ) -> list[Decision]:
        record = self._in(State.FENCING, server)
        if record is None or record.again_at is not None:
            return []
        most_s = self._settings.fence_blind_s if is_blind else self._settings.fence_listed_s
        record.settle_lost(still_listed, now, most_s)
        if not record.lost:
            return self.move(server, Event.FENCED, now)
        if now >= record.stage_ends_at:
            return self.move(server, Event.FENCE_FAILED, now)
        record.again_at = now + min(self._settings.refence_s, record.refence_s)
        record.refence_s *= 2
        self._census.count(server)
        return []

    def fence_failed(self, server: int, now: float) -> list[Decision]:
        return self.move(server, Event.FENCE_FAILED, now)

    def replays(self, server: int, now: float) -> bool:
        record = self._in(State.REPLAYING, server)
        # A link was lost since the fence: its writes may still arrive after the deletes.
        if record is None or record.lost or now >= record.stage_ends_at:
            return False
        record.health = record.health.renewed(now, self._settings.health)
        self._census.count(server)
        return True

    def may_serve(self, server: int, now: float) -> bool:
        return now >= self._records[server].health.held_until

    def replayed(
        self, server: int, missed: int, keys: int, now: float, *, is_restored: bool
    ) -> list[Decision]:
        record = self._records[server]
        record.settle(missed)
        record.tally.replays += keys > 0
        record.tally.replayed_keys += keys
        return self.move(server, Event.REPLAYED if is_restored else Event.HELD, now)

    def replay_failed(self, server: int, now: float, *, is_refused: bool) -> list[Decision]:
        record = self._in(State.REPLAYING, server)
        if record is None:
            return []
        record.refuses_deletes |= is_refused
        why = FlushCause.TOO_SLOW if now >= record.stage_ends_at else record.why_flush
        if record.lost or why in (None, FlushCause.OTHER_PROCESS):
            return self.move(server, Event.REPLAY_FAILED, now)
        record.flush_cause = why
        return self.move(server, Event.FLUSH_NEEDED, now)

    def flush_answered(self, server: int, stats: ServerStats, now: float) -> list[Decision]:
        record = self._in(State.FLUSHING, server)
        if record is None or record.again_at is not None:
            return []
        if record.lost:
            # A link was lost since the fence: its writes may still arrive after the flush.
            return self.move(server, Event.FLUSH_FAILED, now)
        assert record.flushing is not None
        step = record.flushing.answered(stats, now)
        if step is not FlushStep.DONE:
            return self._flush_goes_on(server, step, now)
        record.tally.flushes += 1
        record.settle(record.missed)
        self._cold.emptied(server)
        return self.move(server, Event.FLUSHED if self.may_serve(server, now) else Event.HELD, now)

    def _flush_goes_on(self, server: int, step: FlushStep, now: float) -> list[Decision]:
        record = self._records[server]
        if now >= record.stage_ends_at:
            return self.move(server, Event.FLUSH_FAILED, now)
        if step is FlushStep.FLUSH_NOW:
            return self._again(server, now)
        record.again_at = now + self._settings.flush.again_s
        self._census.count(server)
        return []

    def flush_failed(self, server: int, now: float) -> list[Decision]:
        return self.move(server, Event.FLUSH_FAILED, now)

    # ---- by the configuration ----

    def take_down(self, server: int, now: float) -> list[Decision]:
        """The server goes out of service, and is not probed until `release`."""
        record = self._records[server]
        record.is_down = True
        record.goes_out(Reason(Cause.DOWN))
        return self.move(server, Event.TAKEN_DOWN, now)

    def release(self, server: int, now: float) -> None:
        """The server is probed at once, and returns like any other."""
        record = self._records[server]
        record.is_down = False
        record.health = replace(record.health, due_at=now)
        self._census.count(server)

    # ---- time ----

    def overdue(self, now: float) -> list[Decision]:
        """Handles every stage that is due."""
        decisions: list[Decision] = []
        for server in sorted(self._census.wakeups.take_due(now), key=self._census.order.__getitem__):
            record = self._records[server]
            if record.again_at is not None and now >= record.again_at:
                decisions += self._again(server, now)
            else:
                decisions += self.move(server, OVERDUE[record.health.state], now)
            self._census.count(server)
        return decisions

    def _again(self, server: int, now: float) -> list[Decision]:
        record = self._records[server]
        record.again_at = None
        # The wait for this answer is a new stage, with the full timeout.
        record.health = record.health.renewed(now, self._settings.health)
        self._census.count(server)
        return self._fence(server) if record.health.state is State.FENCING else self._flush(server)

    def _fence(self, server: int) -> list[Decision]:
        record = self._records[server]
        record.fencing = frozenset(record.lost)
        return [Fence(server, record.fencing, record.was_away)]

    def _replay(self, server: int, now: float) -> list[Decision]:
        record = self._records[server]
        if not record.missed_something:
            # Later misses are this process's, which has answered the probe.
            record.is_replaced = False
            event = Event.NOTHING_MISSED if self.may_serve(server, now) else Event.HELD
            return self.move(server, event, now)
        if record.why_flush is not None:
            record.flush_cause = record.why_flush
            return self.move(server, Event.FLUSH_NEEDED, now)
        record.stage_ends_at = now + self._settings.replay_timeout_s
        return [Replay(server)]

    def _flush(self, server: int) -> list[Decision]:
        record = self._records[server]
        assert record.flushing is not None
        if record.flushing.step is FlushStep.LOOK:
            return [Look(server)]
        return [Flush(server, record.flushing.delay_s)]

    # ---- the one place where a state changes ----

    def move(self, server: int, event: Event, now: float) -> list[Decision]:
        """Changes the server's state as `event` requires, if at all."""
        record = self._records.get(server)
        if record is None:
            return []
        before = record.health
        stale_delay_s = self._stale_delay(server) if event is Event.PROBE_FAILED else None
        record.health = before.after(event, now, self._settings.health, self._rng, stale_delay_s)
        if record.health is before:
            return []
        record.again_at = None
        if record.health.state is State.UP:
            record.tally.returns += 1
            record.reason = None
            record.turn_max_s = None
            record.is_stale = False
            # A suspicion that has expired would only cause a tick at a past time.
            if record.suspect_at is not None and self._census.suspicion_ends_at(record) <= now:
                record.suspect_at = None
        elif before.state is State.UP:
            # The process may serve under its other name.
            for duplicate in self._duplicates.of(server):
                self._duplicates.probe_now(duplicate, now)
        self._census.count(server)
        self.sort(server)
        if before.state is State.UP:
            self._probe_soon(server, now)
        decisions: list[Decision] = []
        word = ENGINE_STATES[record.health.state]
        # Always confirm a trip: the engine may have set its own state meanwhile.
        if word is not ENGINE_STATES[before.state] or event in (Event.TRIPPED, Event.TAKEN_DOWN):
            # Writes missed while it is out are no reason to stay out, if it was emptied before.
            missed = record.missed if event in (Event.NOTHING_MISSED, Event.REPLAYED) else None
            decisions.append(SetState(server, word, missed, event is Event.RESTORED, record.reason))
        return decisions + self._enter(server, now)

    def _enter(self, server: int, now: float) -> list[Decision]:
        """The decisions that the server's new state requires."""
        record = self._records[server]
        state = record.health.state
        if state is State.PROBING:
            return [Probe(server, record.turn_max_s)]
        if state is State.FENCING:
            record.stage_ends_at = now + self._settings.fence_timeout_s
            record.listed_since = {}
            record.refence_s = self._settings.refence_first_s
            return self._fence(server)
        if state is State.REPLAYING:
            return self._replay(server, now)
        if state is State.FLUSHING:
            record.flushing = Flushing(self._settings.flush)
            record.stage_ends_at = now + self._settings.flush.timeout_s
            return self._flush(server)
        return []
