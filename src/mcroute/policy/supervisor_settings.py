"""What the supervisor goes by: how much has to look bad, and how long is waited."""

from __future__ import annotations

from dataclasses import dataclass, field

from .flushing import FlushSettings
from .health import HealthSettings

__all__ = ("SupervisorSettings",)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """`panic_share` is the part of a pool that has to look bad, and more; times are in seconds."""

    health: HealthSettings = field(default_factory=HealthSettings)
    panic_share: float = 0.5
    # How long a server that was kept or lifted in spite of its failures is still counted as bad.
    suspect_s: float = 10.0
    # A server that still lists a lost connection is asked again after this time ...
    refence_s: float = 0.5
    # ... and for so long in one return; then it waits for its next retry time, like after any failure.
    fence_timeout_s: float = 30.0
    # A lost connection that a server lists for so long, while it answers, has nothing left to execute ...
    fence_listed_s: float = 10.0
    # ... and where the server's list does not show our connections, after this time.
    fence_blind_s: float = 20.0
    flush: FlushSettings = field(default_factory=FlushSettings)
