"""Servers that die, hang and return at random, and what that excuses."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from random import Random

from mcroute.testing import MemcachedServer

__all__ = ("Faults", "Outages", "is_of_a_fault")

# For so long after a fault, the proxy may still log its effects, whether the server is out of service or not.
AFTERMATH_S = 1.0
LOOK_S = 0.02


# Lines that the proxy may log about a faulty server, besides that it is out of service and serves again.
FAULT_LINES = (
    " is slow: ",
    ": the retry budget is spent; ",
    " cannot be used: ",
    " still lists ",
    " cannot be deleted there: ",
    " has fewer hits than the other servers of its pool: ",
)


def is_of_a_fault(line: str) -> bool:
    return any(text in line for text in FAULT_LINES)


class Outages:
    """The servers that are down, or were. A value with two copies may be missing after two outages."""

    def __init__(self) -> None:
        self._history: list[str] = []
        self._open: dict[str, int] = {}  # since when, as a place in the history

    def begin(self, server: str) -> None:
        if server not in self._open:
            self._open[server] = len(self._history)
            self._history.append(server)

    def end(self, server: str) -> None:
        self._open.pop(server, None)

    def is_on(self, server: str) -> bool:
        return server in self._open

    def mark(self) -> int:
        """For a value that is stored now."""
        return min(self._open.values(), default=len(self._history))

    def excuse(self, mark: int, copies: int = 2) -> bool:
        """Whether such a value may be missing now."""
        return len(set(self._history[mark:])) >= copies


class Faults:
    """One server at a time is killed and started again, or stopped and resumed, until `over`.

    `out` are the addresses that the proxy has out of service; a fault ends when its server is not among them.
    """

    def __init__(
        self,
        servers: Sequence[MemcachedServer],
        outages: Outages,
        out: set[str],
        rng: Random,
        longest_s: float,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.under: str = ""  # the server that has one
        self._servers = servers
        self._outages = outages
        self._out = out
        self._rng = rng
        self._longest_s = longest_s

    async def happen(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await asyncio.sleep(self._rng.random() * self._longest_s)
            await self._happen(self._rng.choice(self._servers))

    async def _happen(self, server: MemcachedServer) -> None:
        self.under = server.address
        self._outages.begin(server.address)
        # Most short, some long.
        length_s = self._longest_s * self._rng.random() ** 2
        if self._rng.random() < 0.5:
            self.counts["killed"] += 1
            server.kill()
            await asyncio.sleep(length_s)
            await asyncio.to_thread(server.start)
        else:
            self.counts["stopped"] += 1
            server.pause()
            await asyncio.sleep(length_s)
            server.resume()
        await self._return(server)
        self.under = ""
        self._outages.end(server.address)

    async def _return(self, server: MemcachedServer) -> None:
        calm_since = time.monotonic()
        while time.monotonic() - calm_since < AFTERMATH_S:
            if self._out:
                calm_since = time.monotonic()
            await asyncio.sleep(LOOK_S)
