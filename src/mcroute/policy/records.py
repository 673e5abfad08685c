"""What the supervisor remembers of a server: while it is in the plan, and after it has left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from .flushing import Flushing
from .health import Health
from .places import Place, PlaceTable
from .processes import Process
from .reports import Tally

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
    tally: Tally = field(default_factory=Tally)

    @property
    def missed_something(self) -> bool:
        return self.was_away or self.missed > self.missed_settled

    @property
    def has_debts(self) -> bool:
        """Not for what timed out: that stands on its link before whatever is asked next."""
        return bool(self.lost) or self.was_away or self.is_stale


@dataclass(slots=True)
class _Absence:
    place: Place
    number: int
    lost: set[str]


class Departed:
    """Places whose servers have left, so that they are flushed if they come back: the last 1024.

    With each are the lost links whose writes the server may still execute.
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

    def add(self, place: Place, number: int, lost: set[str]) -> None:
        serial = next(self._serials)
        self._absences[serial] = _Absence(place, number, lost)
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

    def link_lost(self, number: int, local_address: str) -> None:
        if number in self._lost_by_id:
            self._lost_by_id[number].add(local_address)
