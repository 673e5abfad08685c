"""Timeouts, intervals and bounds of questions to servers, of reloads, and of the log."""

from __future__ import annotations

from dataclasses import dataclass, field

from .backoff import Backoff
from .keepalive import KeepAlive
from .log_intervals import LogIntervals

__all__ = ("Upkeep",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """The settings of one `Routing`, for its whole life. Times are in seconds."""

    # ---- links ----

    backoff: Backoff = field(default_factory=Backoff)
    """The pauses between attempts to connect to a server."""
    keepalive: KeepAlive = field(default_factory=KeepAlive)
    """When the system closes a connection to a server that acknowledges nothing."""
    links_look_s: float = 0.01
    """The interval of looks at links, while something waits for their connections or replies."""

    # ---- questions to servers, each on a connection of its own ----

    control_timeout_s: float = 2.0
    """The timeout of one question. Less than the supervisor gives a stage, so that each stage reports."""
    probes_max: int = 128
    """Probes of servers that are out of service, under way at once."""
    controls_max: int = 64
    """Questions of any other kind, under way at once, for each kind."""
    standin_again_s: float = 0.5
    """The pause before keys are deleted from a stand-in again, after an attempt that failed."""
    first_answers_s: float = 0.5
    """Early requests wait at most so long for the largest value and the process of each server."""

    # ---- which process answers ----

    identity_again_s: float = 60.0
    """The interval of questions for a server's process, less a random half of it."""
    compared_max: int = 16
    """Servers of one pid and start, as in containers, that a server is compared with at a time.

    The others follow with its next look.
    """
    compare_timeout_s: float = 1.0
    """The timeout of one comparison. A comparison without an answer is repeated with the next question."""

    # ---- how large values it stores ----

    item_size_tries: int = 4
    """The number of questions for a server's item_size_max. Without an answer the default counts."""
    item_size_retry_s: float = 1.0
    """The pause before the second question. Each later pause is longer by as much."""

    # ---- how it serves ----

    slow_look_s: float = 0.1
    """The delay from an event to the reading of the engine's counters of slow replies."""

    outliers_look_s: float = 0.1
    """The interval of looks at the engine's counters of replies and errors, for outliers."""
    hedges_look_s: float = 0.5
    """The interval of looks at the engine's counters of replies, for when reads are hedged."""
    turns: int = 5
    """The number of commands that a server which was too slow is timed with, before it returns."""

    # ---- the time of day ----

    wall_again_s: float = 60.0
    """The interval at which engines are told the time of day, to send long lifetimes as dates."""

    # ---- reloads ----

    reload_flush_s: float = 5.0
    """The timeout for the flush of returning servers. Servers unflushed by then begin out of service."""
    retire_timeout_s: float = 2.0
    """The timeout for replies to timed-out requests, before the links of a removed server are closed."""
    retire_look_s: float = 0.02
    """The interval of checks whether a removed server is idle, and whether fences have ended."""
    free_plans_s: float = 0.1
    """The interval of checks whether requests are left on an older plan."""

    # ---- start and end of a proxy ----

    start_s: float = 1.0
    """A starting proxy waits at most so long for its first connections, then again for the first fences."""
    drain_look_s: float = 0.01
    """The interval of checks whether the clients of a closing proxy have left."""

    # ---- the log ----

    log: LogIntervals = field(default_factory=LogIntervals)
    """The times between lines about lasting states."""
    losses_look_s: float = 1.0
    """The interval of looks at the engine's counters of refused requests and discarded values."""
    waiting_clients_look_s: float = 1.0
    """The interval of checks whether clients had to wait for a connection."""

    # ---- another process ----

    journal_fsync_s: float = 1.0
    """The interval of fsyncs of the journal file, and of looks at its size."""

    remember_s: float = 0.05
    """The delay from a change to the write of the state file; at least twice the time of the last write."""
