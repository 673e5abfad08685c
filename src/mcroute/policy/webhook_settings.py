"""Where events are posted, and how long the proxy tries."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ("WebhookSettings",)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A URL that gets each event by POST, and the file with the secret that signs the requests.

    `timeout_s` bounds one request. The n-th pause after a request without success is `retry_base_s` * 2^n, at
    most `retry_cap_s`, less a random half of it; after `give_up_s` the event is given up. Times are in
    seconds.
    """

    url: str
    secret_file: str
    timeout_s: float = 5.0
    retry_base_s: float = 0.5
    retry_cap_s: float = 30.0
    give_up_s: float = 300.0

    def retry_delay(self, attempt: int, rng: Random) -> float:
        """Seconds to wait after attempt number `attempt` (from 0)."""
        # The exponent is bounded: a float's overflow raises an exception.
        grown = self.retry_base_s * 2.0 ** min(attempt, 64)
        return min(self.retry_cap_s, grown) * (1.0 - 0.5 * rng.random())
