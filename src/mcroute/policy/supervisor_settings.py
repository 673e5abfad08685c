"""The supervisor's thresholds and times."""

from __future__ import annotations

from dataclasses import dataclass, field

from .flushing import FlushSettings
from .health import HealthSettings
from .outlier_settings import OutlierSettings
from .warming_settings import WarmingSettings

__all__ = ("SupervisorSettings",)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """Panic mode begins when more than `panic_share` of a pool looks bad; times are in seconds."""

    health: HealthSettings = field(default_factory=HealthSettings)
    panic_share: float = 0.5
    # A server that stayed or came back despite its failures counts as bad for this time.
    suspect_s: float = 10.0
    # Interval at which a returning server is asked about lost connections that it still lists: this, then
    # twice as long each time ...
    refence_first_s: float = 0.02
    # ... up to this ...
    refence_s: float = 0.5
    # ... and the timeout of one return; then the server waits for its next probe, as after any failure.
    fence_timeout_s: float = 30.0
    # A lost connection that a responsive server lists for this time has no command left to run ...
    fence_listed_s: float = 10.0
    # ... or for this time, where the server's list does not show our connections.
    fence_blind_s: float = 20.0
    # A replay that has not caught up with the missed writes by then gives way to a flush.
    replay_timeout_s: float = 10.0
    flush: FlushSettings = field(default_factory=FlushSettings)
    outliers: OutlierSettings = field(default_factory=OutlierSettings)
    warming: WarmingSettings = field(default_factory=WarmingSettings)
