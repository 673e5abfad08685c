"""Whether the process at a server's address is the one from before, a restart of it, or a foreign one.

A process is identified by the pid and uptime in its `stats`. Only uptimes are compared with elapsed time
here, never wall clocks. A foreign process was already running while the known one was seen alive: it is
no restart of the known one, and its items belong to somebody else. One with -e continues the uptime of the
process whose items it keeps, so it has another pid and the known one's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .flushing import ServerStats

__all__ = ("Kinship", "Process", "Seen", "kinship", "may_be_one", "process_of")

# memcached's uptime starts at 2, in whole seconds, of a clock that it reads once a second.
SLACK_S = 4.0
# Clocks of two machines differ in speed: by at most this part of the time between two looks.
DRIFT = 0.001


class Kinship(Enum):
    """The relation of the answering process to the known one."""

    SAME = "same"
    RESTARTED = "restarted"  # started since the known one was last seen alive
    FOREIGN = "foreign"  # was running while the known one was
    UNKNOWN = "unknown"  # no process is known yet, or `stats` lack pid and uptime


@dataclass(frozen=True, slots=True)
class Seen:
    """A process's `stats`, and the times of question and answer, in seconds of our clock."""

    stats: ServerStats
    asked_at: float
    answered_at: float


@dataclass(frozen=True, slots=True)
class Process:
    """The serving process. It was alive at `alive_at`, with this uptime then or up to a reply later."""

    pid: int
    uptime: int  # seconds
    alive_at: float

    def __str__(self) -> str:
        return f"pid {self.pid}, running for {self.uptime} s"


def kinship(known: Process | None, seen: Seen) -> Kinship:
    """The relation of the answering process to the known one."""
    stats = seen.stats
    if known is None or stats.pid is None or stats.uptime is None:
        return Kinship.UNKNOWN
    since = seen.answered_at - known.alive_at
    slack = SLACK_S + DRIFT * since
    # Processes in containers share a pid. An uptime may stand still for a while, when a machine migrates.
    if stats.pid == known.pid and -SLACK_S <= stats.uptime - known.uptime <= since + slack:
        return Kinship.SAME
    if stats.keeps_items and abs(stats.uptime - known.uptime - since) <= slack:
        return Kinship.RESTARTED
    return Kinship.RESTARTED if stats.uptime <= since + slack else Kinship.FOREIGN


def may_be_one(a: Process, b: Process) -> bool:
    """Whether both may be one process: the pids are equal, and so are the start times, within the slack."""
    since = b.alive_at - a.alive_at
    return a.pid == b.pid and abs(b.uptime - a.uptime - since) <= SLACK_S + DRIFT * abs(since)


def process_of(seen: Seen) -> Process | None:
    """The process of a look; None if `stats` lack pid and uptime."""
    stats = seen.stats
    if stats.pid is None or stats.uptime is None:
        return None
    return Process(stats.pid, stats.uptime, seen.asked_at)
