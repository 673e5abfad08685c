"""Requests of an application that caches what it reads from a database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .clients import SimulatedClient
from .history import Operation, Result

__all__ = ("Application", "Database", "Served", "Workload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The load of a run: requests that arrive at random times, and the database behind the cache.

    A read that finds nothing in the cache loads from the database, and stores what it has loaded. A read that
    fails loads too, and stores nothing. A write goes to the database, then to the cache. Each of `clients`
    sends one request at a time; later ones wait. Keys are drawn with Zipf's exponent `zipf`; 0 draws all
    equally often. `filled` is the share of keys that the cache holds at the beginning.

    The database takes `database_ms` for a request, and begins at most `database_per_s` a second, 0 for any
    number; others wait in line. One that would take longer than `database_timeout_ms` fails after that time,
    and has loaded the database nevertheless; 0 is no timeout.
    """

    requests_per_s: float = 200.0
    duration_s: float = 30.0
    clients: int = 20
    keys: int = 1000
    zipf: float = 0.99
    reads: float = 0.95
    ttl_s: int = 0
    filled: float = 1.0
    database_ms: float = 5.0
    database_per_s: float = 0.0
    database_timeout_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Served:
    """One request of the application, from its arrival to its answer, in seconds of the loop.

    `is_hit` is None for a write. `has_failed`: the cache returned an error. `is_lost`: the database failed.
    """

    router: str
    key: str
    arrived_at: float
    ended_at: float
    is_hit: bool | None
    has_failed: bool
    is_lost: bool


class Database:
    """A database with a bounded rate: requests wait in line. `queries` has the time of each."""

    def __init__(self, workload: Workload, time: Callable[[], float]) -> None:
        self.queries: list[float] = []
        self._time = time
        self._takes_s = workload.database_ms / 1000
        self._timeout_s = workload.database_timeout_ms / 1000
        self._interval_s = 1 / workload.database_per_s if workload.database_per_s else 0.0
        self._free_at = 0.0

    async def query(self) -> bool:
        """Returns whether the database has answered in time."""
        now = self._time()
        self.queries.append(now)
        begins_at = max(now, self._free_at)
        self._free_at = begins_at + self._interval_s
        wait_s = begins_at + self._takes_s - now
        if self._timeout_s and wait_s > self._timeout_s:
            await asyncio.sleep(self._timeout_s)
            return False
        await asyncio.sleep(wait_s)
        return True


class _Arrival:
    """A request that waits for a client."""

    def __init__(self, at: float, key: str, is_read: bool) -> None:
        self.at = at
        self.key = key
        self.is_read = is_read


class Application:
    """The application of one run. Its requests depend on the seed alone, not on faults or servers.

    Requests go to `queues` routers in turn.
    """

    def __init__(self, workload: Workload, seed: int, time: Callable[[], float], queues: int) -> None:
        self.workload = workload
        self.database: Database = Database(workload, time)
        self.served: list[Served] = []
        self._time = time
        self._rng = Random(f"requests {seed}")
        self._numbers = itertools.count()
        self._weights = list(
            itertools.accumulate(rank**-workload.zipf for rank in range(1, workload.keys + 1))
        )
        self._queues: list[asyncio.Queue[_Arrival | None]] = [asyncio.Queue() for _ in range(queues)]

    # ---- arrivals ----

    async def arrive(self, begun_at: float) -> None:
        """Requests of the whole run, from `begun_at` on, then the end for each client."""
        rng, workload = self._rng, self.workload
        at = begun_at
        for queue in itertools.cycle(self._queues):
            at += rng.expovariate(workload.requests_per_s)
            if at >= begun_at + workload.duration_s:
                break
            [rank] = rng.choices(range(workload.keys), cum_weights=self._weights)
            arrival = _Arrival(at, f"key-{rank}", rng.random() < workload.reads)
            await asyncio.sleep(at - self._time())
            queue.put_nowait(arrival)
        for number in range(workload.clients):
            self._queues[number % len(self._queues)].put_nowait(None)

    # ---- clients ----

    async def fill(self, number: int, client: SimulatedClient) -> None:
        """One client's part of the keys that the cache holds at the beginning."""
        workload = self.workload
        rng = Random(f"fill {number}")
        for rank in range(number, int(workload.keys * workload.filled), workload.clients):
            # As old as those of a cache that has been in use.
            ttl_s = rng.randint(1, workload.ttl_s) if workload.ttl_s else 0
            await client.call("set", self._operation("set", f"key-{rank}", number, ttl_s))

    async def serve(self, number: int, client: SimulatedClient) -> None:
        """One client's requests, until the run ends. `number` is below the number of clients."""
        queue = self._queues[number % len(self._queues)]
        while (arrival := await queue.get()) is not None:
            await (self._read if arrival.is_read else self._write)(arrival, number, client)
        client.close()

    async def _read(self, arrival: _Arrival, number: int, client: SimulatedClient) -> None:
        found = await client.call("get", self._operation("get", arrival.key, number))
        is_hit, has_failed, is_lost = found.result is Result.OK, found.result is Result.FAILED, False
        if not is_hit:
            is_lost = not await self.database.query()
            if not is_lost and not has_failed:
                has_failed = await self._store(arrival, number, client)
        self._end(arrival, client, is_hit, has_failed, is_lost)

    async def _write(self, arrival: _Arrival, number: int, client: SimulatedClient) -> None:
        is_lost = not await self.database.query()
        has_failed = not is_lost and await self._store(arrival, number, client)
        self._end(arrival, client, None, has_failed, is_lost)

    async def _store(self, arrival: _Arrival, number: int, client: SimulatedClient) -> bool:
        """Returns whether the command failed."""
        operation = self._operation("set", arrival.key, number, self.workload.ttl_s)
        return (await client.call("set", operation)).result is Result.FAILED

    def _operation(self, kind: str, key: str, number: int, ttl_s: int = 0) -> Operation:
        return Operation(next(self._numbers), number, self._time(), kind, key, ttl_s)

    def _end(
        self, arrival: _Arrival, client: SimulatedClient, is_hit: bool | None, has_failed: bool, is_lost: bool
    ) -> None:
        self.served.append(
            Served(client.router, arrival.key, arrival.at, self._time(), is_hit, has_failed, is_lost)
        )
