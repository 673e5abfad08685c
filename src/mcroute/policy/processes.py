"""Whether the process at a server's address is the one from before, a restart of it, or a foreign one.

A process is known by what its `stats` say: its pid and uptime. No wall clocks are compared, only uptimes with
time that has passed here. A foreign process was already running while the known one was seen alive: it has
not taken the known one's place by a restart, and what it holds is somebody else's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .flushing import ServerStats

__all__ = ("Kinship", "Process", "Seen", "kinship", "may_be_one", "process_of")

# memcached begins to count at 2, in whole seconds, of a clock that it reads once a second.
SLACK_S = 4.0
# Two machines' clocks do not run at exactly the same speed: this part of the time between two looks.
DRIFT = 0.001


class Kinship(Enum):
    """Of the process that answers, to the one that is known."""

    SAME = "same"
    RESTARTED = "restarted"  # started since the known one was last seen alive
    FOREIGN = "foreign"  # runs for longer
    UNKNOWN = "unknown"  # none is known yet, or this one does not say who it is


@dataclass(frozen=True, slots=True)
class Seen:
    """What a process said of itself, and when it was asked and had answered, in seconds of our clock."""

    stats: ServerStats
    asked_at: float
    heard_at: float


@dataclass(frozen=True, slots=True)
class Process:
    """The one that serves. It was alive at `alive_at`, and had this uptime then, or up to a reply later."""

    pid: int
    uptime: int  # seconds
    alive_at: float

    def __str__(self) -> str:
        return f"pid {self.pid}, running for {self.uptime} s"


def kinship(known: Process | None, seen: Seen) -> Kinship:
    """What the process that answers is to the known one."""
    stats = seen.stats
    if known is None or stats.pid is None or stats.uptime is None:
        return Kinship.UNKNOWN
    since = seen.heard_at - known.alive_at
    slack = SLACK_S + DRIFT * since
    # In containers all have the same pid. An uptime may stand still for a while: a machine that is moved.
    if stats.pid == known.pid and -SLACK_S <= stats.uptime - known.uptime <= since + slack:
        return Kinship.SAME
    return Kinship.RESTARTED if stats.uptime <= since + slack else Kinship.FOREIGN


def may_be_one(a: Process, b: Process) -> bool:
    """Whether both looks may have been at one process: its pid is the same, and so is its start, about."""
    since = b.alive_at - a.alive_at
    return a.pid == b.pid and abs(b.uptime - a.uptime - since) <= SLACK_S + DRIFT * abs(since)


def process_of(seen: Seen) -> Process | None:
    """None: it does not say who it is."""
    stats = seen.stats
    if stats.pid is None or stats.uptime is None:
        return None
    return Process(stats.pid, stats.uptime, seen.asked_at)
