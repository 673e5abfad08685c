"""The memcached processes of the hosts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..testing.profiles import NEWEST, Limits
from .environment import EPOCH_S
from .paths import Latency

__all__ = ("HostClock", "ServerOptions")

# The time of one turn of a connection at an idle server.
SERVICE = Latency(0.000005, 0.00005)

# With -e, since a host may restart its memcached with the items.
WARM = Limits(memory_file="/dev/shm/memcached")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The memcached of every host: its release, from 1.6.18 on, and its limits, by default with -e.

    `service` is the time that one turn of a connection takes, `loss_share` the share of segments to and from
    the host that are lost once; both without a fault.
    """

    version: str = NEWEST
    limits: Limits = WARM
    service: Latency = SERVICE
    loss_share: float = 0.0


class HostClock:
    """A host's clocks: the loop's time, and a date that is wrong by `offset_s` seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.offset_s: float = 0.0

    def monotonic(self) -> float:
        return self._loop.time()

    def unix(self) -> float:
        return EPOCH_S + self._loop.time() + self.offset_s
