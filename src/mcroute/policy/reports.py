"""What the supervisor tells about servers and pools to whoever watches."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .causes import COUNTED_BY_ENGINES, Cause, Reason
from .health import State

__all__ = ("Condition", "PoolReport", "ServerReport", "Tally")


@dataclass(slots=True)
class Tally:
    """How often something happened to a server since it joined; only grows."""

    ejections: dict[Cause, int] = field(default_factory=dict)  # without those that engines count
    kept: int = 0  # failed, but ejections have a cap
    returns: int = 0
    flushes: int = 0

    def copy(self) -> Tally:
        return Tally(dict(self.ejections), self.kept, self.returns, self.flushes)

    def eject(self, cause: Cause) -> None:
        if cause not in COUNTED_BY_ENGINES:
            self.ejections[cause] = self.ejections.get(cause, 0) + 1


class Condition(Enum):
    """A server's state as operators see it: those that serve are told apart by how they do."""

    UP = "up"
    SLOW = "slow"  # serves, but replies have taken longer than the reply timeout
    FAILING = "failing"  # serves only because ejections have a cap: its requests fail
    EJECTED = "ejected"
    PROBING = "probing"
    FENCING = "fencing"
    FLUSHING = "flushing"
    FOREIGN = "foreign"  # another process answers there: it is left alone, and looked at now and then
    DUPLICATE = "duplicate"  # the process of another server of its pool answers there


@dataclass(frozen=True, slots=True)
class ServerReport:
    state: State
    tally: Tally
    condition: Condition
    reason: Reason | None = None  # why it is out of service


@dataclass(frozen=True, slots=True)
class PoolReport:
    size: int
    up: int
    is_panic: bool
