"""When a server in service counts as an outlier among the servers of its pool."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("OutlierSettings",)


@dataclass(frozen=True, slots=True)
class OutlierSettings:
    """Times are in seconds.

    A window of a server lasts `window_s`, and longer until it has `window_requests`; after ten times
    `window_s` without them it begins anew. A server is an outlier after `windows` bad windows in a row. A
    window is bad

    * for its latency, if its lower quartile is above `latency_factor` times that of the peers, and by
      `latency_floor_s` above both that and the best one of the server itself;
    * for its errors, if more than `error_share` of its requests were lost or timed out, and of the peers'
      less than half as many.

    The peers are the other servers of the pool in service; their figure is the median of their last windows,
    the higher one of two.

    A server also goes out after `losses` times, within `losses_s`, at which a connection of it broke with
    requests in flight. At most `outlier_share` of a pool's servers are out for such reasons, but always one.
    """

    window_s: float = 0.3
    window_requests: int = 5
    windows: int = 3
    latency_floor_s: float = 0.01
    latency_factor: float = 3.0
    error_share: float = 0.2
    losses: int = 5
    losses_s: float = 30.0
    outlier_share: float = 0.2

    @property
    def window_longest_s(self) -> float:
        """The longest time that a window takes, and that the last one of a peer counts for."""
        return 10 * self.window_s
