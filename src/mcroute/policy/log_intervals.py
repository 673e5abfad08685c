"""How often the log repeats itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("LogIntervals",)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIntervals:
    """The shortest times between two lines about one lasting state, in seconds."""

    # ---- about one server ----

    failure_s: float = 600.0
    """Between lines that say for the same reason that the server cannot be used."""
    out_of_resources_s: float = 10.0
    """Between lines that say that no descriptor or memory was left for a connection to the server."""
    awaited_s: float = 2.0
    """Before the first line that says that the server's fence waits for lost connections."""
    awaited_again_s: float = 60.0
    """Between further lines about that."""
    repeated_step_s: float = 10.0
    """Between announcements of one step of the server's return, which it repeats."""
    refused_retries_s: float = 10.0
    """Between lines that count retries which the retry budget refused."""

    # ---- about clients and requests ----

    waiting_clients_s: float = 600.0
    """Between lines that say that clients have to wait for a connection."""
    losses_s: float = 10.0
    """Between lines of one kind about refused requests or discarded values, and about a server's desyncs."""
    other_protocols_s: float = 600.0
    """Between lines about refused clients of one protocol."""
