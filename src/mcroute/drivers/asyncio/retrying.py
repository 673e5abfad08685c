"""When the links of one server are connected again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from random import Random

from .timing import in_time

__all__ = ("Retry",)

BASE_S = 0.05
CAP_S = 2.0
# While the server is out of service the supervisor finds out when it answers again, and hurries its links.
CAP_OUT_S = 30.0


class Retry:
    """Shared by the links of one server: while it fails one of them tries for all, later each time.

    `is_out` says whether the server is out of service. Jitter keeps many proxies from coming at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: Random, is_out: Callable[[], bool]) -> None:
        self._loop = loop
        self._rng = rng
        self._is_out = is_out
        self._failures = 0  # rounds of attempts in a row
        self._at = self._out_at = 0.0  # when the next round begins, in service and out of it
        self._attempts = 0  # under way
        self._changed = asyncio.Event()

    async def turn(self) -> None:
        """Returns when the caller may try; `ended` is due when it has."""
        while (pause_s := self._pause_s()) != 0:
            with contextlib.suppress(TimeoutError):
                await in_time(self._changed.wait(), pause_s)
        self._attempts += 1

    def _pause_s(self) -> float | None:
        """None: until the link that is trying knows."""
        now = self._loop.time()
        if not self._failures:
            return 0
        if now < self._at:
            return self._at - now
        if self._is_out() and now < self._out_at:
            return min(CAP_S, self._out_at - now)
        return None if self._attempts else 0

    def ended(self, is_connected: bool) -> None:
        self._attempts -= 1
        if is_connected:
            self.hurry()
            return
        now = self._loop.time()
        if now >= self._at:
            # The first failure of this round.
            self._failures += 1
            most = BASE_S * 2.0 ** min(self._failures, 16)
            part = 1.0 - 0.5 * self._rng.random()
            self._at, self._out_at = (now + min(most, cap) * part for cap in (CAP_S, CAP_OUT_S))
        self._wake()

    def hurry(self) -> None:
        """All try at once, as if the server had not failed."""
        self._failures = 0
        self._at = self._out_at = 0.0
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
