"""What the supervisor remembers of a server: while it is in the plan, and after it has left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .flushing import Flushing
from .health import Health
from .reports import Tally
from .servers import Server

__all__ = ("Departed", "Record", "identity")

DEPARTED_MAX = 1024


@dataclass(slots=True)
class Record:
    """A server of the plan. Times are those of the supervisor's `now`."""

    health: Health = field(default_factory=Health)
    is_unreachable: bool = False  # refused the last connection: no panic brings it back
    suspect_at: float | None = None  # last failure since it last proved itself
    lost: set[str] = field(default_factory=set)  # lost links whose writes it may still execute
    missed: int = 0  # the engines' counter, which only grows
    missed_settled: int = 0  # the counter's value up to which a flush has made up for it
    fencing: frozenset[str] = frozenset()  # those that the fence under way asks for
    again_at: float | None = None  # the stage goes on: another fence, flush, or look
    stage_ends_at: float = 0.0
    flushing: Flushing | None = None  # in that stage
    was_away: bool = False  # part of no plan for a while, and not flushed since
    is_stale: bool = False  # missed a write for good since it was in order
    tally: Tally = field(default_factory=Tally)

    @property
    def missed_something(self) -> bool:
        return self.was_away or self.missed > self.missed_settled

    @property
    def has_debts(self) -> bool:
        """Not for what timed out: that stands on its link before whatever is asked next."""
        return bool(self.lost) or self.was_away or self.is_stale


def identity(server: Server) -> Server:
    """A server with another weight is the same one; with another name or address it is not."""
    return replace(server, weight=1)


class Departed:
    """Servers that have left, so that they are flushed if they come back: the last 1024.

    With each are the lost links whose writes it may still execute.
    """

    def __init__(self) -> None:
        self._lost: dict[Server, set[str]] = {}  # oldest first
        self._lost_by_id: dict[int, set[str]] = {}  # the same sets, for links that outlive the departure

    def __contains__(self, server: Server) -> bool:
        return identity(server) in self._lost

    def add(self, server: Server, number: int, lost: set[str]) -> None:
        self._lost[identity(server)] = self._lost_by_id[number] = lost
        if len(self._lost) > DEPARTED_MAX:
            del self._lost[next(iter(self._lost))]

    def pop(self, server: Server) -> set[str]:
        """It is back: its lost links, none if it had not left."""
        return self._lost.pop(identity(server), set())

    def forget_ids(self, numbers: Iterable[int]) -> None:
        """These ids are other servers' from now on."""
        for number in numbers:
            self._lost_by_id.pop(number, None)

    def link_lost(self, number: int, local_address: str) -> None:
        if number in self._lost_by_id:
            self._lost_by_id[number].add(local_address)
