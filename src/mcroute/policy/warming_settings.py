"""How fast a server that came back empty gets its keys again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ("WarmingSettings",)


@dataclass(frozen=True, slots=True)
class WarmingSettings:
    """Times are in seconds. With `keys_per_s` 0 no server is warmed."""

    keys_per_s: float = 1000.0
    # Lists of keys take at most this share of the time of the event loop, which has other work.
    reading_share: float = 0.2
    # Servers that are warmed at once. The others wait.
    servers_max: int = 4
    # Keys of one server that are kept at once.
    keys_max: int = 100_000
    # Copies are begun at this interval, a few at a time, or clients would wait for a burst of them.
    feed_s: float = 0.01
    # After the last key, its copy is checked for this time at most: longer than two hold-offs of a refill.
    settle_s: float = 10.0
    # Another client reads a dump of the twin, or the twin is out of service: it is asked again after this
    # time, then twice as long each time, ...
    again_s: float = 0.5
    # ... up to this, less a random half, ...
    again_max_s: float = 10.0
    # ... until it has kept the server waiting for so long.
    give_up_s: float = 600.0
    # A twin that sends no further line of a dump for this time does not answer.
    answer_timeout_s: float = 10.0
    # Interval at which the server is asked whether it evicts items.
    look_s: float = 1.0
    # Interval of lines in the log about the progress.
    log_s: float = 10.0

    def again_delay(self, attempt: int, rng: Random) -> float:
        """The pause after attempt number `attempt`, from 0, to read a twin's dump."""
        grown = min(self.again_max_s, self.again_s * 2.0 ** min(attempt, 32))
        return grown * (1.0 - 0.5 * rng.random())
