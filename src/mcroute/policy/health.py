"""One server's health: a table of states and events, and the record that moves through it.

    UP --tripped--> EJECTED --retry due--> PROBING --answered--> FENCING --fenced--> REPLAYING
    REPLAYING --replayed--> UP, or --flush needed--> FLUSHING --flushed--> UP

Rule 1: every change of a state is a row of TRANSITIONS; an event without a row changes nothing, so that late
reports (an answer to an expired probe) are harmless.
Rule 2: only the end of a return leads to UP, or RESTORED for a server without debts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from random import Random

__all__ = ("OVERDUE", "TRANSITIONS", "Event", "Health", "HealthSettings", "State")


# So many servers that missed writes are probed at the full rate; more of them share this rate.
STALE_PROBES = 32


class State(IntEnum):
    UP = 0
    EJECTED = 1  # waits for its next probe
    PROBING = 2
    FENCING = 3  # answers, but may still execute earlier requests
    FLUSHING = 4  # is being emptied of stale values
    REPLAYING = 5  # the keys whose writes it missed are being deleted there


class Event(IntEnum):
    TRIPPED = 0
    RETRY_DUE = 1
    PROBE_ANSWERED = 2
    PROBE_FAILED = 3
    FENCED = 4  # earlier requests are settled on every link
    FENCE_FAILED = 5
    FLUSHED = 6
    NOTHING_MISSED = 7  # neither replay nor flush is needed
    FLUSH_FAILED = 8
    RESTORED = 9  # panic: restored at once, without debts
    RESTORED_IN_DEBT = 10  # panic: returns without waiting, through fence, replay and flush
    REPLAYED = 11
    REPLAY_FAILED = 12
    FLUSH_NEEDED = 13  # deletes are not enough, or not possible
    HELD = 14  # has no stale values any more, but its ejection lasts
    TAKEN_DOWN = 15  # is not to serve until it is released


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.UP: {Event.TRIPPED: State.EJECTED, Event.TAKEN_DOWN: State.EJECTED},
    State.EJECTED: {
        Event.TAKEN_DOWN: State.EJECTED,
        Event.RETRY_DUE: State.PROBING,
        Event.RESTORED: State.UP,
        Event.RESTORED_IN_DEBT: State.FENCING,
    },
    State.PROBING: {
        Event.PROBE_ANSWERED: State.FENCING,
        Event.PROBE_FAILED: State.EJECTED,
        Event.TRIPPED: State.EJECTED,
        Event.TAKEN_DOWN: State.EJECTED,
    },
    State.FENCING: {
        Event.FENCED: State.REPLAYING,
        Event.FENCE_FAILED: State.EJECTED,
        Event.TRIPPED: State.EJECTED,
        Event.TAKEN_DOWN: State.EJECTED,
    },
    State.REPLAYING: {
        Event.REPLAYED: State.UP,
        Event.NOTHING_MISSED: State.UP,
        Event.FLUSH_NEEDED: State.FLUSHING,
        Event.REPLAY_FAILED: State.EJECTED,
        Event.HELD: State.EJECTED,
        Event.TRIPPED: State.EJECTED,
        Event.TAKEN_DOWN: State.EJECTED,
    },
    State.FLUSHING: {
        Event.FLUSHED: State.UP,
        Event.HELD: State.EJECTED,
        Event.FLUSH_FAILED: State.EJECTED,
        Event.TRIPPED: State.EJECTED,
        Event.TAKEN_DOWN: State.EJECTED,
    },
}

# The event that a state's `due_at` stands for.
OVERDUE: dict[State, Event] = {
    State.EJECTED: Event.RETRY_DUE,
    State.PROBING: Event.PROBE_FAILED,
    State.FENCING: Event.FENCE_FAILED,
    State.REPLAYING: Event.REPLAY_FAILED,
    State.FLUSHING: Event.FLUSH_FAILED,
}


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How long a server stays out of service, in seconds.

    The n-th ejection in a row waits `retry_base_s * retry_factor**n`, at most `retry_cap_s`, less a random
    part of up to `jitter`, so that many proxies do not probe at the same time. If a server is ejected again
    within `flap_window_s` of its return, its row of ejections continues.

    A server that missed writes is probed every `stale_probe_s`, less the random part, so that its old values
    are deleted soon; other proxies may read them. It serves no earlier for that.
    """

    retry_base_s: float = 1.0
    retry_factor: float = 2.0
    retry_cap_s: float = 30.0
    jitter: float = 0.5
    flap_window_s: float = 60.0
    stale_probe_s: float = 0.2
    # A probe, fence, replay or flush without a report for this time has failed.
    stage_timeout_s: float = 5.0

    def retry_delay(self, attempt: int, rng: Random) -> float:
        """Seconds to wait after ejection number `attempt` (from 0) in a row."""
        # The exponent is bounded: a float's overflow raises an exception.
        grown = self.retry_base_s * self.retry_factor ** min(attempt, 64)
        return min(self.retry_cap_s, grown) * (1.0 - self.jitter * rng.random())

    def stale_delay(self, servers: int, rng: Random) -> float:
        """Seconds until the next probe of a server that missed writes, one of so many out of service."""
        return self.stale_probe_s * max(1.0, servers / STALE_PROBES) * (1.0 - self.jitter * rng.random())


@dataclass(frozen=True, slots=True)
class Health:
    """A server's record. A value: `after` returns the next one."""

    state: State = State.UP
    since: float = 0.0
    attempt: int = 0  # ejections in a row, without a lasting return in between
    # EJECTED: time of the next probe, None while it is taken down; in the stages: time of their failure.
    due_at: float | None = None
    held_until: float = 0.0  # the end of the ejection: the server serves no earlier
    changed_at: float | None = None  # the last ejection or return; None: neither since the start

    def after(
        self,
        event: Event,
        now: float,
        settings: HealthSettings,
        rng: Random,
        stale_delay_s: float | None = None,
    ) -> Health:
        """The record after an event; the same record if the event does not concern its state.

        `stale_delay_s`: the server missed writes, and is probed again after this time if it does not answer.
        """
        state = TRANSITIONS[self.state].get(event)
        if state is None:
            return self
        if state is State.UP:
            return replace(self, state=state, since=now, due_at=None, changed_at=now)
        if state is not State.EJECTED:
            held_until = now if event is Event.RESTORED_IN_DEBT else self.held_until
            due_at = now + settings.stage_timeout_s
            return replace(self, state=state, since=now, due_at=due_at, held_until=held_until)
        if event is Event.TAKEN_DOWN:
            return replace(self, state=state, since=now, due_at=None, held_until=now)
        if event is Event.HELD:
            return replace(self, state=state, since=now, due_at=self.held_until)
        if event is Event.PROBE_FAILED and stale_delay_s is not None:
            return replace(self, state=state, since=now, due_at=now + stale_delay_s)
        is_stable = self.state is State.UP and now - self.since > settings.flap_window_s
        attempt = 0 if is_stable else self.attempt
        due_at = now + settings.retry_delay(attempt, rng)
        if self.state is State.UP:
            return Health(state, now, attempt + 1, due_at, held_until=due_at, changed_at=now)
        return replace(self, state=state, since=now, attempt=attempt + 1, due_at=due_at)

    def probed_at(self, when: float) -> Health:
        """The record with its next probe at `when`, if that is earlier. The ejection is not shortened."""
        if self.state is not State.EJECTED or self.due_at is None or self.due_at <= when:
            return self
        return replace(self, due_at=when)

    def renewed(self, now: float, settings: HealthSettings) -> Health:
        """The same stage with its full timeout again, for a second try within the stage."""
        return replace(self, due_at=now + settings.stage_timeout_s)
