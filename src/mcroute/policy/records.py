"""What the supervisor remembers of a server: while it is in the plan, and after it has left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from .causes import Cause, Reason
from .flushing import Flushing
from .health import Health, State
from .places import Place, PlaceTable
from .processes import Kinship, Process, Seen, kinship, process_of
from .reports import Condition, Tally

__all__ = ("Departed", "Record")

DEPARTED_MAX = 1024


@dataclass(slots=True)
class Record:
    """A server of the plan. Times are those of the supervisor's `now`."""

    place: Place  # all endpoints that the server's address has meant
    health: Health = field(default_factory=Health)
    is_unreachable: bool = False  # refused the last connection: no panic brings it back
    suspect_at: float | None = None  # last failure since it last proved itself
    slow_at: float | None = None  # the last late reply
    lost: set[str] = field(default_factory=set)  # lost links whose writes it may still execute
    missed: int = 0  # the engines' counter, which only grows
    missed_settled: int = 0  # the counter's value up to which a flush has made up for it
    fencing: frozenset[str] = frozenset()  # those that the fence under way asks for
    listed_since: dict[str, float] = field(default_factory=dict)  # by all answers of this stage
    again_at: float | None = None  # the stage goes on: another fence, flush, or look
    stage_ends_at: float = 0.0
    flushing: Flushing | None = None  # in that stage
    was_away: bool = False  # part of no plan for a while, and not flushed since
    is_stale: bool = False  # missed a write for good since it was in order
    process: Process | None = None  # the one that serves, when it was last seen
    is_foreign: bool = False  # another one was found there: nothing brings it back but the right one
    reason: Reason | None = None  # why it last went out of service
    original: int | None = None  # another server of its pool, whose process answers here too
    tally: Tally = field(default_factory=Tally)

    @property
    def missed_something(self) -> bool:
        return self.was_away or self.missed > self.missed_settled

    @property
    def has_debts(self) -> bool:
        """Timed-out writes do not count: later requests queue behind them."""
        return bool(self.lost) or self.was_away or self.is_stale

    @property
    def is_only_slow(self) -> bool:
        """Whether it serves, can be connected to, and holds no old values."""
        return self.health.state is State.UP and not self.is_unreachable and not self.has_debts

    @property
    def is_only_fenced(self) -> bool:
        """Whether it is out of service in its first try to return, and owes no flush."""
        if self.was_away or self.missed_something:
            return False
        return self.health.state is not State.UP and self.health.attempt == 0

    def goes_out(self, reason: Reason) -> None:
        """Out of service, for this reason."""
        self.reason = reason
        self.tally.eject(reason.cause)

    def begins_out(self, cause: Cause, now: float) -> None:
        """Out of service from the beginning; to be probed at once."""
        self.health = Health(State.EJECTED, now, due_at=now)
        self.goes_out(Reason(cause))

    def condition(self, now: float, suspect_s: float) -> Condition:
        """For reports. A failure or a late reply counts for `suspect_s`."""
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
        """What answers at its address said this of itself; see `Supervisor.identified`."""
        if self.process is not None and seen.asked_at < self.process.alive_at:
            # It comes late: somebody has been asked since.
            return Kinship.UNKNOWN
        kin = kinship(self.process, seen)
        if kin is Kinship.FOREIGN and not is_any_taken:
            self.is_foreign = True
            return kin
        self.is_foreign = False
        self.process = process_of(seen) or self.process
        return Kinship.RESTARTED if kin is Kinship.FOREIGN else kin

    def settle_lost(self, still_listed: Collection[str], now: float, most_s: float) -> None:
        """The fence is answered, and these lost connections may remain, for `most_s` at most."""
        # A link that was lost while this fence was under way was not asked for, and is not settled by it.
        self.lost -= self.fencing - set(still_listed)
        self.listed_since = {name: self.listed_since.get(name, now) for name in still_listed}
        # No packet of theirs is still to come, and a server that answers has read what came.
        self.lost -= {name for name, since in self.listed_since.items() if now >= since + most_s}


@dataclass(slots=True)
class _Absence:
    place: Place
    number: int
    lost: set[str]
    process: Process | None


class Departed:
    """Places whose servers have left, so that they are flushed if they come back: the last 1024.

    With each are the lost links whose writes the server may still execute, and its process as last seen.
    """

    def __init__(self) -> None:
        self._absences: dict[int, _Absence] = {}  # oldest first
        self._places = PlaceTable()
        self._serials = count()
        self._lost_by_id: dict[int, set[str]] = {}  # the same sets, for links that outlive the departure

    def __iter__(self) -> Iterator[tuple[Place, set[str]]]:
        """Each place, and the lost links."""
        return ((absence.place, absence.lost) for absence in self._absences.values())

    def has_been(self, place: Place) -> bool:
        """Whether a server that has left may have been there."""
        return bool(self._places.near(place))

    def process(self, place: Place) -> Process | None:
        """The one that served there; None if that is not known, or not certain."""
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
        """A server has come back to the place: its lost links, none if no server has left from there.

        A link of the former ids that is lost later is added to the returned set.
        """
        lost: set[str] = set()
        for serial in self._places.near(place):
            absence = self._absences[serial]
            lost |= absence.lost
            if absence.number in self._lost_by_id:
                self._lost_by_id[absence.number] = lost
            # Else another server may be the one that has left.
            if place and absence.place:
                self._remove(serial)
        return lost

    def forget_ids(self, numbers: Iterable[int]) -> None:
        """These ids are other servers' from now on."""
        for number in numbers:
            self._lost_by_id.pop(number, None)

    def add_lost(self, number: int, local_address: str) -> None:
        if number in self._lost_by_id:
            self._lost_by_id[number].add(local_address)
