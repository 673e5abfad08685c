"""The supervisor's reports on servers and pools."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from .causes import COUNTED_BY_ENGINES, Cause, Reason
from .health import State

__all__ = ("Condition", "PoolReport", "ServerReport", "Tally", "Warmth")


@dataclass(slots=True)
class Tally:
    """Counts of events since the server joined; they only grow."""

    ejections: dict[Cause, int] = field(default_factory=dict)  # without those that engines count
    kept: int = 0  # failures that did not eject because of the cap on ejections
    returns: int = 0
    flushes: int = 0
    replays: int = 0
    replayed_keys: int = 0  # deleted by replays

    def copy(self) -> Tally:
        return replace(self, ejections=dict(self.ejections))

    def eject(self, cause: Cause) -> None:
        if cause not in COUNTED_BY_ENGINES:
            self.ejections[cause] = self.ejections.get(cause, 0) + 1


@dataclass(slots=True)
class Warmth:
    """How far a server that came back empty has its keys again."""

    is_warming: bool = False
    ahead: int = 0  # keys that twins have listed, and whose copies are not begun yet
    begun: int = 0  # copies begun since the server joined; it only grows
    times: int = 0  # that all keys were copied


class Condition(Enum):
    """A server's state for operators, who also see how a server in service is doing."""

    UP = "up"
    SLOW = "slow"  # serves, but replies have taken longer than the reply timeout
    FAILING = "failing"  # in service only because of the cap on ejections: its requests fail
    EJECTED = "ejected"
    PROBING = "probing"
    FENCING = "fencing"
    REPLAYING = "replaying"
    FLUSHING = "flushing"
    FOREIGN = "foreign"  # a foreign process answers at its address: not used, but checked again
    DOWN = "down"  # the configuration says so
    DUPLICATE = "duplicate"  # the process of another server of its pool answers there


@dataclass(frozen=True, slots=True)
class ServerReport:
    state: State
    tally: Tally
    condition: Condition
    reason: Reason | None = None  # why it is out of service
    warmth: Warmth = field(default_factory=Warmth)


@dataclass(frozen=True, slots=True)
class PoolReport:
    size: int
    up: int
    is_panic: bool
