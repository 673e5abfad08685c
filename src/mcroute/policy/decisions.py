"""What the supervisor decides, as values: the adapter carries them out and reports what came of them.

Servers are named by their id, the index into `Plan.servers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from .causes import Reason

__all__ = ("Decision", "Fence", "Flush", "Look", "PanicChanged", "Probe", "ServerState", "SetState")


class ServerState(IntEnum):
    """The engine's word on a server."""

    UP = 0
    EJECTED = 1  # skipped
    RETURNING = 2  # answers, but is not trusted yet: still skipped


@dataclass(frozen=True, slots=True)
class SetState:
    """Write this word into the engine's table.

    With `missed`, a server that has missed more writes than so many meanwhile is to be ejected instead; with
    `unless_stale`, one that has missed any for good, while another copy may have taken it. `reason` is why
    the server is out of service: it is told, and makes no difference between two decisions.
    """

    server: int
    state: ServerState
    missed: int | None = None
    unless_stale: bool = False
    reason: Reason | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """Send a command to the server and await a real answer: a connection alone proves nothing.

    Report `probe_answered` or `probe_failed`.
    """

    server: int


@dataclass(frozen=True, slots=True)
class Fence:
    """Await an answer behind the last request on every open link, then read `stats conns`.

    `connections` are the local addresses of lost links. Report `fence_answered` with those of them which the
    server still lists, or `fence_failed`. With `awaits_departed`, first await the end of the links of all
    servers that have left: one of them may lead to this server.
    """

    server: int
    connections: frozenset[str]
    awaits_departed: bool = False


@dataclass(frozen=True, slots=True)
class Flush:
    """Send flush_all, then read `stats`. Report `flush_answered` with what they say, or `flush_failed`.

    `delay_s` is its argument, 0 for none; a server that refuses it gets none.
    """

    server: int
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """Read `stats` of a server that is being flushed. Report as for `Flush`."""

    server: int


@dataclass(frozen=True, slots=True)
class PanicChanged:
    """More than half of the pool looks bad, or no longer: something to log and to count."""

    pool: str
    is_panic: bool


Decision = SetState | Probe | Fence | Flush | Look | PanicChanged
