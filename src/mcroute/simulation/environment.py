"""The environment of simulated processes: the loop's time, and the network's names."""

from __future__ import annotations

import asyncio

from ..drivers.asyncio.clock import AsyncioClock
from ..drivers.asyncio.environment import Environment
from ..drivers.asyncio.lookup_threads import Answer
from ..drivers.asyncio.lookups import Lookups
from .network import Network

__all__ = ("EPOCH_S", "environment")

# The Unix time at the loop's time 0.
EPOCH_S = 1_767_225_600.0


class _Clock(AsyncioClock):
    """All clocks of a process are the loop's."""

    def lasting(self) -> float:
        return self.now()

    def wall(self) -> float:
        return EPOCH_S + self.now()


class _Names:
    """A `NameService`: the network's names."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._tasks: set[asyncio.Task[None]] = set()

    def look_up(self, host: str, rank: int, answer: Answer) -> None:
        task = self._network.loop.create_task(self._look_up(host, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, host: str, answer: Answer) -> None:
        try:
            answer(await self._network.resolve(host))
        except OSError as error:
            answer(error)


def environment(network: Network) -> Environment:
    """The environment of one process on the network."""
    lookups = Lookups(_Names(network), network.loop.time)
    return Environment(clock=_Clock, lookups=lambda: lookups)
