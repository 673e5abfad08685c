"""The two clocks that a memcached reads: a monotonic one all the time, the host's date when it starts."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ("Clock", "SystemClock")


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds since any moment, never less than before."""

    def unix(self) -> float:
        """The host's date, in seconds since 1970; a test may let it jump."""


class SystemClock:
    """This machine's."""

    def monotonic(self) -> float:
        return time.monotonic()

    def unix(self) -> float:
        return time.time()
