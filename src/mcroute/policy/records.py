"""The supervisor's memory of servers: while they are in the plan, and after their departure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from .causes import Cause, FlushCause, Reason
from .flushing import Flushing
from .health import Health, State
from .places import Place, PlaceTable
from .processes import Kinship, Process, Seen, kinship, process_of
from .reports import Condition, Tally, Warmth

__all__ = ("Departed", "Record")

DEPARTED_MAX = 1024


@dataclass(slots=True)
class Record:
    """A server of the plan. Times are those of the supervisor's `now`."""

    place: Place  # all endpoints that the server's address has led to
    health: Health = field(default_factory=Health)
    is_unreachable: bool = False  # refused the last connection: panic mode does not restore it
    suspect_at: float | None = None  # last failure since the last proof of health
    slow_at: float | None = None  # the last late reply
    lost: set[str] = field(default_factory=set)  # lost links whose writes it may still execute
    missed: int = 0  # the engines' counter of missed writes, which only grows
    missed_settled: int = 0  # the counter's value at the last replay or flush
    is_named: bool = True  # the journal has the keys of all writes missed since then
    is_replaced: bool = False  # another process may have come since then
    is_set_back: bool = False  # its process may have been set back to a snapshot since then
    is_recalled: bool = False  # the process is known from an earlier process of the proxy only
    refuses_deletes: bool = False
    flush_cause: FlushCause | None = None  # of the last flush
    fencing: frozenset[str] = frozenset()  # the connections that the current fence asks about
    listed_since: dict[str, float] = field(default_factory=dict)  # over all answers of this stage
    again_at: float | None = None  # time of another fence, flush, or look in this stage
    refence_s: float = 0.0  # to the next fence of this stage
    stage_ends_at: float = 0.0
    flushing: Flushing | None = None  # in that stage
    was_away: bool = False  # was in no plan for a while, and is not flushed since
    is_stale: bool = False  # missed a write for good since it was put into service
    process: Process | None = None  # the serving process, at the last look
    is_foreign: bool = False  # a foreign process answered: only the right one brings the server back
    is_down: bool = False  # by the configuration
    reason: Reason | None = None  # why it last went out of service
    turn_max_s: float | None = None  # out as too slow: its commands must be as quick as this again
    original: int | None = None  # another server of its pool with the same process
    tally: Tally = field(default_factory=Tally)
    warmth: Warmth = field(default_factory=Warmth)

    @property
    def missed_something(self) -> bool:
        return self.was_away or self.is_set_back or self.missed > self.missed_settled

    @property
    def why_flush(self) -> FlushCause | None:
        """Why deletes of the keys in its journal are not enough."""
        if self.was_away:
            return FlushCause.UNKNOWN_PAST
        if self.is_replaced or self.is_set_back or self.process is None:
            return FlushCause.OTHER_PROCESS
        if not self.is_named:
            return FlushCause.OVERFLOW
        return FlushCause.REFUSED if self.refuses_deletes else None

    @property
    def missing_process(self) -> Process | None:
        """The process that missed the writes since then; None if that may be several, or is not known."""
        is_clear = not (self.was_away or self.is_replaced or self.is_set_back or self.refuses_deletes)
        return self.process if is_clear else None

    def settle(self, missed: int) -> None:
        """The server holds no stale values from the first `missed` missed writes."""
        self.missed = max(self.missed, missed)
        self.missed_settled = missed
        self.was_away = self.is_replaced = self.is_set_back = self.refuses_deletes = False
        self.is_named = True

    @property
    def has_debts(self) -> bool:
        """Timed-out writes do not count: later requests queue behind them."""
        return bool(self.lost) or self.was_away or self.is_set_back or self.is_stale

    @property
    def is_only_slow(self) -> bool:
        """Whether it is in service, can be connected to, and holds no stale values."""
        return self.health.state is State.UP and not self.is_unreachable and not self.has_debts

    @property
    def is_only_fenced(self) -> bool:
        """Whether it is out of service in its first return attempt, and needs no flush."""
        if self.was_away or self.missed_something or self.is_down:
            return False
        return self.health.state is not State.UP and self.health.attempt == 0

    def goes_out(self, reason: Reason) -> None:
        """Notes why the server goes out of service."""
        self.reason = reason
        self.tally.eject(reason.cause)

    def begins_out(self, cause: Cause, now: float) -> None:
        """The server begins out of service, and is probed at once."""
        self.health = Health(State.EJECTED, now, due_at=now, changed_at=now)
        self.goes_out(Reason(cause))

    def condition(self, now: float, suspect_s: float) -> Condition:
        """The state for reports. A failure or a late reply counts for `suspect_s`."""
        if self.is_down:
            return Condition.DOWN
        if self.is_foreign:
            return Condition.FOREIGN
        if self.original is not None:
            return Condition.DUPLICATE
        if self.health.state is not State.UP:
            return Condition[self.health.state.name]
        if self.suspect_at is not None and now < self.suspect_at + suspect_s:
            return Condition.FAILING
        is_slow = self.slow_at is not None and now < self.slow_at + suspect_s
        return Condition.SLOW if is_slow else Condition.UP

    def identified(self, seen: Seen, *, is_any_taken: bool) -> Kinship:
        """Takes the `stats` of the process at its address; see `Supervisor.identified`."""
        if self.process is not None and seen.asked_at < self.process.alive_at:
            # The answer is late: a newer one is known.
            return Kinship.UNKNOWN
        kin = kinship(self.process, seen)
        if kin is Kinship.FOREIGN and not is_any_taken and not self.is_recalled:
            self.is_foreign = True
            return kin
        self.is_foreign = self.is_recalled = False
        if self.process is not None and kin is not Kinship.SAME and seen.stats.pid == self.process.pid:
            # A restart in a container has no items yet, or only new ones.
            self.is_set_back |= seen.stats.items != 0
        if kin is not Kinship.SAME and (self.health.state is not State.UP or self.missed_something):
            self.is_replaced = True
        self.process = process_of(seen) or self.process
        return Kinship.RESTARTED if kin is Kinship.FOREIGN else kin

    def settle_lost(self, still_listed: Collection[str], now: float, most_s: float) -> None:
        """The fence is answered; the server may list these lost connections for `most_s` at most."""
        # A link lost during the fence was not part of its question, and is not settled by the answer.
        self.lost -= self.fencing - set(still_listed)
        self.listed_since = {name: self.listed_since.get(name, now) for name in still_listed}
        # No packet of theirs is left in the network, and a server that answers has read all that arrived.
        self.lost -= {name for name, since in self.listed_since.items() if now >= since + most_s}


@dataclass(slots=True)
class _Absence:
    place: Place
    number: int
    lost: set[str]
    process: Process | None


class Departed:
    """The places of departed servers, which are flushed if they come back: the last 1024.

    Each has the lost links whose writes the server may still execute, and its process at the last look.
    """

    def __init__(self) -> None:
        self._absences: dict[int, _Absence] = {}  # oldest first
        self._places = PlaceTable()
        self._serials = count()
        self._lost_by_id: dict[int, set[str]] = {}  # the same sets, for links that outlive the departure

    def __iter__(self) -> Iterator[tuple[Place, set[str]]]:
        """Each place with its lost links."""
        return ((absence.place, absence.lost) for absence in self._absences.values())

    def has_been(self, place: Place) -> bool:
        """Whether a departed server may have been there."""
        return bool(self._places.near(place))

    def process(self, place: Place) -> Process | None:
        """The process that served there; None if it is unknown or ambiguous."""
        near = [self._absences[serial] for serial in self._places.near(place)]
        return near[0].process if len(near) == 1 and place and near[0].place else None

    def add(self, place: Place, number: int, lost: set[str], process: Process | None = None) -> None:
        serial = next(self._serials)
        self._absences[serial] = _Absence(place, number, lost, process)
        self._places.add(serial, place)
        self._lost_by_id[number] = lost
        if len(self._absences) > DEPARTED_MAX:
            self._remove(next(iter(self._absences)))

    def _remove(self, serial: int) -> None:
        del self._absences[serial]
        self._places.remove(serial)

    def pop(self, place: Place) -> set[str]:
        """Removes the place of a server that has come back. Returns its lost links.

        If a link of the former ids is lost later, the link is added to the returned set.
        """
        lost: set[str] = set()
        for serial in self._places.near(place):
            absence = self._absences[serial]
            lost |= absence.lost
            if absence.number in self._lost_by_id:
                self._lost_by_id[absence.number] = lost
            # Otherwise the departed server may be another one.
            if place and absence.place:
                self._remove(serial)
        return lost

    def clear_ids(self, numbers: Iterable[int]) -> None:
        """These ids belong to other servers from now on."""
        for number in numbers:
            self._lost_by_id.pop(number, None)

    def add_lost(self, number: int, local_address: str) -> None:
        if number in self._lost_by_id:
            self._lost_by_id[number].add(local_address)
