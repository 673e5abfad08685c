"""The memcached processes of the hosts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..testing.profiles import NEWEST, Limits
from .environment import EPOCH_S

__all__ = ("HostClock", "ServerOptions")

# With -e, since a host may restart its memcached with the items.
WARM = Limits(memory_file="/dev/shm/memcached")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The memcached of every host: its release, from 1.6.18 on, and its limits, by default with -e."""

    version: str = NEWEST
    limits: Limits = WARM


class HostClock:
    """A host's clocks: the loop's time, and a date that is wrong by `offset_s` seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.offset_s: float = 0.0

    def monotonic(self) -> float:
        return self._loop.time()

    def unix(self) -> float:
        return EPOCH_S + self._loop.time() + self.offset_s
