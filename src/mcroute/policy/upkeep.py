"""How often servers are asked about themselves, how long answers and departures are awaited, by how many."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("Upkeep",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """For the whole life of a `Routing`. Times are in seconds."""

    # ---- questions to servers, each on a connection of its own ----

    control_timeout_s: float = 2.0
    """The timeout of one question. Less than the supervisor gives a stage, so that each stage reports."""
    probes_max: int = 128
    """Probes of servers that are out of service, under way at once."""
    controls_max: int = 64
    """Questions of any other kind, under way at once, for each kind."""
    first_answers_s: float = 0.5
    """Requests that come before a server has told its largest value and its process wait at most so long."""

    # ---- which process answers ----

    identity_again_s: float = 60.0
    """A server is asked again which process it is after this time, less a random half of it."""
    compared_max: int = 16
    """Servers of one pid and start, as in containers, that a server is compared with at a time.

    The others follow with its next look.
    """
    compare_timeout_s: float = 1.0
    """The timeout of one comparison. Without an answer it tells nothing."""

    # ---- how large values it stores ----

    item_size_tries: int = 4
    """A server that has not told its item_size_max after so many questions is taken to have the default."""
    item_size_retry_s: float = 1.0
    """The pause before the second question; it grows by as much each time."""

    # ---- how it serves ----

    slow_look_s: float = 0.1
    """The counters of slow replies are read so long after they may have changed."""

    # ---- reloads ----

    reload_flush_s: float = 5.0
    """A reload waits so long for the flush of servers that come back. Later they begin out of service."""
    retire_timeout_s: float = 2.0
    """The links of a server that has left are kept so long for replies that nobody waits for any more."""
    retire_look_s: float = 0.02
    """How often it is looked whether a server that has left is done, or whether fences are over."""
    forget_plans_s: float = 0.1
    """How often it is looked whether requests are left on an older plan."""

    # ---- another process ----

    remember_s: float = 0.05
    """The state file is written so long after a change, or after twice the time of the last write."""
