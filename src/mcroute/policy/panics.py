"""Panic: when more than a share of a pool looks bad, the signal is probably wrong.

Servers that are only slow stay in service or come back. Servers that refuse connections stay out, and servers
that may hold stale values go through fence and flush first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush

from .census import Census, PoolCount
from .decisions import Decision, PanicChanged
from .health import Event, State
from .records import Record
from .stages import Stages

__all__ = ("Panics",)


class Panics:
    """The pools in panic, and the servers that are protected: by a panic, or as the last one of a pool.

    Call `supervise` first, and after each change of the plan.
    """

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._panics: set[str] = set()

    def supervise(self, records: Mapping[int, Record], census: Census, share: float) -> None:
        """A panic begins in a pool when more than `share` of its servers look bad."""
        self._records = records
        self._census = census
        self._share = share

    def __bool__(self) -> bool:
        return bool(self._panics)

    @property
    def pools(self) -> Collection[str]:
        """The names of the pools in panic."""
        return self._panics

    def retain(self, pools: Iterable[str]) -> None:
        """Ends panics of other pools than these."""
        self._panics.intersection_update(pools)

    def is_protected(self, server: int) -> bool:
        """Whether the server is in service, and no failure ejects it at present."""
        if server not in self._census.up:
            return False
        pools = (self._census.pools[index].name for index in self._census.pools_with[server])
        return self._census.is_last(server) or (
            self._records[server].is_only_slow and any(name in self._panics for name in pools)
        )

    def restore_again(self, now: float) -> list[Decision]:
        """A continuing panic restores servers once more: the new pool may consist of ejected ones."""
        panics = (pool for pool in self._census.pools if pool.name in self._panics)
        return [decision for pool in panics for decision in self._restore_all(pool.members, now)]

    def watch(self, now: float) -> list[Decision]:
        """Begins and ends panics, after any change of records. Suspicions expire."""
        for server in self._census.suspicions.take_due(now):
            self._records[server].suspect_at = None
            self._census.count(server)
        decisions: list[Decision] = []
        # In the order of the pools; effects of a panic on an earlier pool are handled in the next call.
        waiting = list(self._census.unwatched)
        heapify(waiting)
        while waiting:
            index = heappop(waiting)
            if index in self._census.unwatched:
                self._census.unwatched.remove(index)
                changes = self._watch_one(self._census.pools[index], now)
                for other in self._census.pools_beside(index) if changes else ():
                    if other > index:
                        heappush(waiting, other)
                decisions += changes
        return decisions

    def _watch_one(self, pool: PoolCount, now: float) -> list[Decision]:
        is_panic = pool.bad > self._share * len(pool.members)
        if is_panic is (pool.name in self._panics):
            return []
        self._panics ^= {pool.name}
        self._census.touch(pool.members)
        decisions: list[Decision] = [PanicChanged(pool.name, is_panic)]
        return decisions + self._restore_all(pool.members, now) if is_panic else decisions

    def _restore_all(self, members: tuple[int, ...], now: float) -> list[Decision]:
        return [decision for server in members for decision in self._restore(server, now)]

    def _restore(self, server: int, now: float) -> list[Decision]:
        record = self._records[server]
        if record.is_unreachable or record.is_foreign or record.health.state is not State.EJECTED:
            return []
        if record.original is not None or record.is_down:
            return []
        record.suspect_at = now
        return self._stages.move(server, Event.RESTORED_IN_DEBT if record.has_debts else Event.RESTORED, now)
