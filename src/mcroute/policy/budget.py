"""The retry budget: failing over after a timeout doubles the load, so it is limited to a share of it."""

from __future__ import annotations

__all__ = ("RetryBudget",)


class RetryBudget:
    """A token bucket that each request fills by `share` and each second by `floor_per_s`, up to `capacity`.

    It begins full. Time that goes backwards adds nothing. Raises ValueError for values below 0.
    """

    __slots__ = ("_filled_at", "_tokens", "capacity", "floor_per_s", "share")

    def __init__(self, share: float = 0.2, floor_per_s: float = 10.0, capacity: float = 100.0) -> None:
        if min(share, floor_per_s, capacity) < 0:
            raise ValueError("share, floor_per_s and capacity are at least 0")
        self.share = share
        self.floor_per_s = floor_per_s
        self.capacity = capacity
        self._tokens = capacity
        self._filled_at: float | None = None

    def request(self, count: int = 1) -> None:
        """Counts first sends: what retries are a share of."""
        self._tokens = min(self.capacity, self._tokens + self.share * count)

    def available(self, now: float) -> float:
        """Tokens at `now`, between 0 and `capacity`."""
        if self._filled_at is None:
            self._filled_at = now
        elif now > self._filled_at:
            earned = self.floor_per_s * (now - self._filled_at)
            self._tokens = min(self.capacity, self._tokens + earned)
            self._filled_at = now
        return self._tokens

    def take(self, now: float) -> bool:
        """Spends one token on a retry; False means do not retry."""
        if self.available(now) < 1.0:
            return False
        self._tokens -= 1.0
        return True
