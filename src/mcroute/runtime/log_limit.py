"""Limits the rate of log lines."""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ("LogLimit",)

KEYS_MAX = 4096


class LogLimit:
    """Lets one line of each key through in `every_s` seconds. Remembers the last 4096 keys."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._logged_at: dict[Hashable, float] = {}  # oldest first

    def is_due(self, key: Hashable, now: float) -> bool:
        """Whether to write the line now. If so, it counts as written."""
        if now < self._logged_at.get(key, -float("inf")) + self._every_s:
            return False
        self._logged_at.pop(key, None)
        self._logged_at[key] = now
        if len(self._logged_at) > KEYS_MAX:
            del self._logged_at[next(iter(self._logged_at))]
        return True

    def reset(self, key: Hashable) -> None:
        """Lets the key's next line through at once."""
        self._logged_at.pop(key, None)
