"""Counts over a plan's servers, so that an event costs the same for any number of servers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from .alarms import Alarms
from .causes import OUTLYING
from .health import State
from .nodes import Plan
from .records import Record
from .reports import Condition, PoolReport
from .standins import pools_with_standins

__all__ = ("Census", "PoolCount")


@dataclass(slots=True)
class PoolCount:
    """One pool that users named: the cap on ejections is per pool. Servers are ids."""

    name: str
    members: tuple[int, ...]
    up: set[int] = field(default_factory=set)
    has_standins: bool = False  # its last server in service may go out
    bad: int = 0  # members that have failed, or are suspected


class Census:
    """Counts the servers of one plan by their `records`. Call `count` after each change of a record."""

    def __init__(
        self, plan: Plan, ids: Mapping[str, int], records: Mapping[int, Record], suspect_s: float
    ) -> None:
        self._records = records
        self._suspect_s = suspect_s
        with_standins = pools_with_standins(plan)
        self.order: dict[int, int] = {number: order for order, number in enumerate(records)}
        self.pools: list[PoolCount] = [
            PoolCount(
                pool.name,
                tuple(ids[server.name] for server in pool.servers),
                has_standins=pool.name in with_standins,
            )
            for pool in plan.named_pools
        ]
        self.pools_with: dict[int, list[int]] = {number: [] for number in records}
        for index, pool in enumerate(self.pools):
            for server in pool.members:
                self.pools_with[server].append(index)
        self.wakeups: Alarms = Alarms()
        self.suspicions: Alarms = Alarms()  # of serving servers: the time when the suspicion ends
        self.up: set[int] = set()
        self.unsuspicious: set[int] = set()  # servers not known to be stale
        self.unwatched: set[int] = set(range(len(self.pools)))  # pools in which a panic may begin or end
        self._bad: set[int] = set()
        self._touched: set[int] = set()
        for server in records:
            self.count(server)

    def suspicion_ends_at(self, record: Record) -> float:
        """The time when the last failure of a serving server is too old to count."""
        assert record.suspect_at is not None
        return record.suspect_at + self._suspect_s

    def count(self, server: int) -> None:
        record = self._records[server]
        health = record.health
        is_up = health.state is State.UP
        is_suspected = is_up and record.suspect_at is not None
        times = [time for time in (health.due_at, record.again_at) if time is not None]
        self.wakeups.set(server, min(times, default=None))
        self.suspicions.set(server, self.suspicion_ends_at(record) if is_suspected else None)
        self._touched.add(server)
        (self.unsuspicious.discard if record.is_stale else self.unsuspicious.add)(server)
        if is_up is not (server in self.up):
            self._count_up(server, is_up)
        # One that is out without a failure (unknown past, duplicate, down) says nothing about the network.
        has_failed = health.attempt > 0 and record.original is None and not record.is_down
        if (is_suspected if is_up else has_failed) is not (server in self._bad):
            self._bad ^= {server}
            more = 1 if server in self._bad else -1
            for index in self.pools_with[server]:
                self.pools[index].bad += more
                self.unwatched.add(index)

    def _count_up(self, server: int, is_up: bool) -> None:
        self.up ^= {server}
        for index in self.pools_with[server]:
            up = self.pools[index].up
            (up.add if is_up else up.remove)(server)
            if len(up) <= 2:
                # The last server of some pool may have changed.
                self._touched |= up

    def touch(self, servers: Iterable[int]) -> None:
        """Notes that these servers have changed in another way."""
        self._touched.update(servers)

    def take_touched(self) -> set[int]:
        """The servers that have changed in any way since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def is_last(self, server: int) -> bool:
        """Whether the server is the last one in service of some pool without stand-ins."""
        pools = (self.pools[index] for index in self.pools_with[server])
        return server in self.up and any(len(pool.up) == 1 and not pool.has_standins for pool in pools)

    def are_enough_outlying(self, server: int, share: float) -> bool:
        """Whether so many servers of one of its pools are out as outliers that this one may not follow."""
        pools = (self.pools[index].members for index in self.pools_with[server])
        return any(sum(map(self._is_outlying, pool)) >= max(1, int(share * len(pool))) for pool in pools)

    def _is_outlying(self, server: int) -> bool:
        record = self._records[server]
        is_out = record.health.state is not State.UP
        return is_out and record.reason is not None and record.reason.cause in OUTLYING

    def bad(self, pool: str) -> tuple[list[int], int]:
        """The failed or suspected servers of a pool, and the number of its servers."""
        members = next((p.members for p in self.pools if p.name == pool), ())
        return [server for server in members if server in self._bad], len(members)

    def reports(self, now: float, panics: Collection[str]) -> dict[str, PoolReport]:
        """A report on each pool that users named."""
        return {
            pool.name: PoolReport(
                len(pool.members), sum(self._is_well(s, now) for s in pool.members), pool.name in panics
            )
            for pool in self.pools
        }

    def _is_well(self, server: int, now: float) -> bool:
        return self._records[server].condition(now, self._suspect_s) in (Condition.UP, Condition.SLOW)

    def pools_beside(self, index: int) -> set[int]:
        """The pools that share servers with this one, and were not watched since a change of those."""
        with_them = (other for s in self.pools[index].members for other in self.pools_with[s])
        return self.unwatched.intersection(with_them)
