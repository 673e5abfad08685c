"""The supervisor's parts, and what they know of the plan's servers and pools."""

from __future__ import annotations

from collections.abc import Mapping, Set
from random import Random

from .causes import FlushCause, Reason
from .census import Census
from .duplicates import Duplicates
from .health import State
from .members import Keys, Members
from .nodes import Plan
from .panics import Panics
from .places import Places
from .reports import Condition, PoolReport, ServerReport, Tally, Warmth
from .stages import Stages
from .supervisor_settings import SupervisorSettings
from .warming import ColdServers

__all__ = ("SupervisorState",)


class SupervisorState:
    """The base class of `Supervisor`, with all that changes nothing. Servers are ids."""

    def __init__(
        self,
        plan: Plan,
        rng: Random,
        settings: SupervisorSettings | None = None,
        places: Places | None = None,
    ) -> None:
        self.settings: SupervisorSettings = settings or SupervisorSettings()
        self._members = Members(plan, places)
        self._recalled_keys: Mapping[int, Keys] = {}
        self._duplicates = Duplicates()
        self.cold: ColdServers = ColdServers()  # the servers that came back empty, in service or not
        self._stages = Stages(self._duplicates, self.cold, rng)
        self._panics = Panics(self._stages)
        self._count_anew()

    def _count_anew(self) -> None:
        """Counts again, after a change of the plan."""
        self._records = self._members.records
        plan, ids = self.plan, self._members.ids
        self._census = Census(plan, ids, self._records, self.settings.suspect_s)
        # These accept any process.
        self._any_process = {ids[name] for name, own in plan.server_options.items() if own.identity == "any"}
        self._duplicates.supervise(self._records, self._census, self._any_process)
        self._stages.supervise(self._records, self._census, self.settings)
        self._panics.supervise(self._records, self._census, self.settings.panic_share)

    @property
    def plan(self) -> Plan:
        return self._members.plan

    def state(self, server: int) -> State:
        """The server's state; EJECTED for a server that is not in the plan."""
        record = self._records.get(server)
        return State.EJECTED if record is None else record.health.state

    def tally(self, server: int) -> Tally:
        """The counts of events of a server of the plan."""
        return self._records[server].tally

    def warmth(self, server: int) -> Warmth:
        """How far a server of the plan is warmed. The runtime keeps it."""
        return self._records[server].warmth

    def flush_cause(self, server: int) -> FlushCause | None:
        """Why the server was last flushed on its return."""
        return self._records[server].flush_cause

    def ejections_in_a_row(self, server: int) -> int:
        """Ejections of a server of the plan without a lasting return in between."""
        return self._records[server].health.attempt

    def pools_of(self, server: int) -> tuple[str, ...]:
        """The names of the pools of a server of the plan."""
        return tuple(self._census.pools[index].name for index in self._census.pools_with[server])

    @property
    def out_in_order(self) -> Set[int]:
        """The servers that are out of service, and missed no write as far as is reported."""
        return self._stages.out_in_order

    def is_panic(self, pool: str) -> bool:
        return pool in self._panics.pools

    def condition(self, server: int, now: float) -> Condition:
        """The server's state for reports."""
        record = self._records.get(server)
        return Condition.EJECTED if record is None else record.condition(now, self.settings.suspect_s)

    def changed_at(self, server: int) -> float | None:
        """When the server last went out of service, returned or joined; None: never since the start."""
        record = self._records.get(server)
        return None if record is None else record.health.changed_at

    def reasons(self) -> dict[str, Reason]:
        """The reasons of servers that are out of service, by name."""
        reports = ((name, self._records[number]) for name, number in self._members.ids.items())
        return {name: record.reason for name, record in reports if record.reason is not None}

    @property
    def serving(self) -> Set[int]:
        """The servers that are UP."""
        return self._census.up

    @property
    def unsuspicious(self) -> Set[int]:
        """The servers that were not reported as `stale` since they were put into service."""
        return self._census.unsuspicious

    @property
    def members(self) -> list[tuple[int, ...]]:
        """The servers of each pool that users named."""
        return [pool.members for pool in self._census.pools]

    def servers(self, now: float) -> dict[str, ServerReport]:
        """A report on each server of the plan, by name."""
        return self._members.reports(now, self.settings.suspect_s)

    def pools(self, now: float) -> dict[str, PoolReport]:
        """A report on each pool that users named."""
        return self._census.reports(now, self._panics.pools)

    def bad(self, pool: str) -> tuple[list[int], int]:
        """The failed or suspected servers of a pool, and the number of its servers."""
        return self._census.bad(pool)

    def next_wakeup(self) -> float | None:
        """The time of the next `tick`; None if there is none."""
        # A panic ends when enough suspicions have expired.
        times = (self._census.wakeups.next(), self._census.suspicions.next() if self._panics else None)
        return min((time for time in times if time is not None), default=None)
