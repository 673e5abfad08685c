"""The supervisor's decisions, as values: the runtime carries them out and reports the results.

Servers are named by their id, the index into `Plan.servers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from .causes import Reason

__all__ = ("Decision", "Fence", "Flush", "Look", "PanicChanged", "Probe", "Replay", "ServerState", "SetState")


class ServerState(IntEnum):
    """A server's state in the engine's table."""

    UP = 0
    EJECTED = 1  # skipped
    RETURNING = 2  # answers, but is not restored yet: still skipped


@dataclass(frozen=True, slots=True)
class SetState:
    """Write this state into the engine's table.

    With `missed`, the server is ejected instead if it has missed more writes than that meanwhile; with
    `unless_stale`, if it has missed a write for good that another copy may have. `reason` is why the server
    is out of service: it is for reports, and makes no difference between two decisions.
    """

    server: int
    state: ServerState
    missed: int | None = None
    unless_stale: bool = False
    reason: Reason | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """Send a command to the server and wait for a real answer: a connection alone proves nothing.

    Report `probe_answered` or `probe_failed`. With `turn_max_s`, the probe fails as well if the median time
    of several commands on one connection is longer, in seconds: the server left because it was slow.
    """

    server: int
    turn_max_s: float | None = None


@dataclass(frozen=True, slots=True)
class Fence:
    """Wait for an answer behind the last request on every open link, then read `stats conns`.

    `connections` are the local addresses of lost links. Report `fence_answered` with the ones that the server
    still lists, or `fence_failed`. With `awaits_departed`, first wait for the end of the links of all
    departed servers: one of them may lead to this server.
    """

    server: int
    connections: frozenset[str]
    awaits_departed: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """Delete the keys in the server's journal from the server, until the journal has no further ones.

    Then empty the journal, and in the same step restore the server if `Supervisor.may_serve`. Report
    `replayed`, or `replay_failed`.
    """

    server: int


@dataclass(frozen=True, slots=True)
class Flush:
    """Send flush_all, then read `stats`. Report `flush_answered` with the stats, or `flush_failed`.

    `delay_s` is flush_all's argument, 0 for none; a server that refuses the argument gets none.
    """

    server: int
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """Read `stats` of a server that is being flushed. Report as for `Flush`."""

    server: int


@dataclass(frozen=True, slots=True)
class PanicChanged:
    """Panic mode began or ended in the pool: for log and metrics."""

    pool: str
    is_panic: bool


Decision = SetState | Probe | Fence | Replay | Flush | Look | PanicChanged
