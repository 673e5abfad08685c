"""Duplicates: servers of one plan that are one process under two names. One of them goes out of service.

One process always has the same pid and start time. So may two processes in containers, where every pid is
1, if they started in the same second. So such a pair is compared by a key, stored on one server and looked
for on the other, before the supervisor decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from .census import Census
from .health import State
from .processes import Process, may_be_one
from .records import Record

__all__ = ("Duplicates",)


class Duplicates:
    """The known relations of pairs of servers, which are ids; `Record.original` names the original of a
    server.

    Call `supervise` first, and after each change of the plan.
    """

    def __init__(self) -> None:
        self._apart: dict[int, set[int]] = {}  # pairs that need no comparison, both ways
        self._found: set[int] = set()  # servers that have an original

    def supervise(self, records: Mapping[int, Record], census: Census, any_process: Collection[int]) -> None:
        """`any_process` are servers whose process may be any process."""
        self._records = records
        self._census = census
        self._any_process = any_process

    def alike(self, process: Process) -> list[int]:
        """The servers in service that may be this process."""
        own = ((server, self._records[server].process) for server in self._census.up)
        return [server for server, other in own if other is not None and may_be_one(process, other)]

    def lookalikes(self, server: int) -> list[int]:
        """The servers to compare this one with: its original, and those in service that are alike."""
        record = self._records[server]
        found = [] if record.original is None else [record.original]
        if record.process is None or server in self._any_process:
            return found
        known = {server, *found, *self._any_process, *self._apart.get(server, ())}
        return found + [other for other in self.alike(record.process) if other not in known]

    def choose_duplicate(self, server: int, other: int) -> int | None:
        """The one of two servers with one process that must go out of service. None: neither.

        It is one of two in one pool, where both copies of a key would be in one place: the one that is out
        already, or else the later one. It is never the last one in service of a pool: a mistake in the names
        must not become an outage.
        """
        census = self._census
        if set(census.pools_with[server]).isdisjoint(census.pools_with[other]):
            return None
        latest = sorted((other, server), key=census.order.__getitem__, reverse=True)
        out = [number for number in latest if number not in census.up]
        return next((number for number in out or latest if not census.is_last(number)), None)

    def tell_apart(self, server: int, other: int) -> None:
        """Notes that the two are two processes, or that their being one has no consequence."""
        for one, another in ((server, other), (other, server)):
            self._apart.setdefault(one, set()).add(another)
            if self._records[one].original == another:
                self._settle(one)

    def join(self, duplicate: int, original: int) -> None:
        """Notes that the two are one process, and that `duplicate` gives way."""
        self._settle(original)
        self._records[duplicate].original = original
        self._found.add(duplicate)

    def _settle(self, server: int) -> None:
        """Notes that the server has a process of its own."""
        self._records[server].original = None
        self._found.discard(server)

    def changed(self, server: int) -> None:
        """Another process answers at the server's address: it may be any other server's."""
        for other in self._apart.pop(server, ()):
            self._apart[other].discard(server)

    def of(self, original: int) -> list[int]:
        """The duplicates of a server."""
        return [server for server in self._found if self._records[server].original == original]

    def probe_now(self, server: int, now: float) -> None:
        """Probes a duplicate now, since its original is out of service."""
        record = self._records[server]
        if record.health.state is State.EJECTED and not record.is_down:
            record.health = replace(record.health, due_at=now, held_until=now)
            self._census.count(server)

    def retain(self, others: Collection[int], now: float) -> None:
        """These ids have new records, or none."""
        for server in [s for s in self._apart if s in others or s not in self._records]:
            self.changed(server)
        self._found -= {s for s in self._found if s in others or s not in self._records}
        for server in sorted(self._found):
            original = self._records[server].original
            if original in others or original not in self._records:
                self._settle(server)
                self.probe_now(server, now)
                self._census.count(server)
