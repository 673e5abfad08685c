"""The servers of the plan, and departed ones: one record each, kept over plans and processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from .causes import Cause
from .health import Health, State
from .nodes import Plan
from .pasts import Past
from .places import Place, Places, PlaceTable, continued, spelled
from .processes import Kinship, Seen, kinship
from .records import Departed, Record
from .reports import ServerReport
from .servers import Server

__all__ = ("Keys", "Members")

# The keys of missed writes, each with whether it is in base64.
Keys: TypeAlias = "frozenset[tuple[bytes, bool]]"


class Members:
    """`records` by id, `ids` by name. A server is identified by its place."""

    def __init__(self, plan: Plan, places: Places | None) -> None:
        self.plan: Plan = plan
        self.ids: Mapping[str, int] = dict(plan.server_ids)
        places = _places_of(plan, places)
        self.records: dict[int, Record] = {number: Record(places[name]) for name, number in self.ids.items()}
        self._departed = Departed()

    def reports(self, now: float, suspect_s: float) -> dict[str, ServerReport]:
        """A report on each server of the plan, by name."""
        return {
            name: ServerReport(
                record.health.state,
                record.tally.copy(),
                record.condition(now, suspect_s),
                record.reason,
                replace(record.warmth),
            )
            for name, record in ((name, self.records[number]) for name, number in self.ids.items())
        }

    def name(self, number: int) -> str:
        return next(name for name, known in self.ids.items() if known == number)

    # ---- another plan ----

    def continued(self, plan: Plan, places: Places | None = None) -> dict[str, str]:
        """For servers of `plan` that are in the present plan, by name: their names in the present plan."""
        places = _places_of(plan, places)
        before = {s.name: (s, self.records[self.ids[s.name]].place) for s in self.plan.servers}
        return continued(before, {s.name: (s, places[s.name]) for s in plan.servers})

    def outdated(self, plan: Plan, places: Places | None = None) -> tuple[Server, ...]:
        """Servers of `plan` that departed from an earlier plan, and missed later writes.

        Flush them before the plan is installed.
        """
        stays = self.continued(plan, places)
        places = _places_of(plan, places)
        joining = (server for server in plan.servers if server.name not in stays)
        return tuple(server for server in joining if self._departed.has_been(places[server.name]))

    def is_foreign(self, server: Server, plan: Plan, place: Place, seen: Seen) -> bool:
        """For one of `outdated`: whether the process is neither the departed one nor a restart of it.

        Always False where the plan accepts any process.
        """
        if plan.server_options[server.name].identity == "any":
            return False
        return kinship(self._departed.process(place), seen) is Kinship.FOREIGN

    def install(
        self,
        plan: Plan,
        now: float,
        ids: Mapping[str, int] | None,
        missed: Mapping[int, int],
        unflushed: Collection[Server],
        places: Places | None,
    ) -> list[int]:
        """Switches to another plan, see `Supervisor.install`. Returns the servers that get new records."""
        ids = dict(plan.server_ids if ids is None else ids)
        stays = self.continued(plan, places)
        places = _places_of(plan, places)
        known = {name: self.records[number] for name, number in self.ids.items()}
        staying = {name: known.pop(old) for name, old in stays.items()}
        unsafe = self._unsafe_places(known)
        for name, record in known.items():
            self._departed.add(record.place, self.ids[name], record.lost, record.process)
        before, self.records = self.records, {}
        for server in plan.servers:
            place = places[server.name]
            if server.name not in staying:
                is_unsafe = server in unflushed or not place or bool(unsafe.near(place))
                record = self._join(place, is_unsafe, now)
                record.missed = record.missed_settled = missed.get(ids[server.name], 0)
            elif not (record := staying[server.name]).place.isdisjoint(place):
                record.place |= place
            self.records[ids[server.name]] = record
        self._departed.clear_ids(self.records)
        self.plan = plan
        self.ids = ids
        return [number for number, record in self.records.items() if before.get(number) is not record]

    def _unsafe_places(self, leaving: Collection[str]) -> PlaceTable:
        """Places of departing servers with requests in flight, and of servers that may hold stale values."""
        unsafe = PlaceTable()
        for name, number in self.ids.items():
            record = self.records[number]
            if name in leaving or record.has_debts or record.health.state is not State.UP:
                unsafe.add(number, record.place)
        return unsafe

    def _join(self, place: Place, is_unsafe: bool, now: float) -> Record:
        process = self._departed.process(place)
        lost = self._departed.pop(place)
        record = Record(place, Health(changed_at=now), lost=lost, process=process)
        if is_unsafe or lost:
            record.was_away = True
            record.begins_out(Cause.AWAY, now)
        return record

    def moved(self, server: int, place: Place) -> bool:
        """Sets the place of the server's address. Returns whether it is another one than before."""
        record = self.records[server]
        before, record.place = record.place, place
        if not before or not before.isdisjoint(place):
            record.place |= before
            return False
        process = self._departed.process(place)
        self._departed.add(before, server, record.lost, record.process)
        record.lost = self._departed.pop(place)
        record.was_away = True
        record.process, record.is_foreign = process, False
        return True

    def add_lost_of_departed(self, server: int, local_address: str) -> None:
        """Notes the loss of a departed server's link with writes in flight."""
        self._departed.add_lost(server, local_address)

    # ---- an earlier process, and a later one ----

    def recall(
        self, pasts: Sequence[Past], is_trusting: bool, now: float
    ) -> tuple[list[int], dict[int, Keys]]:
        """Continues from an earlier process.

        Returns the servers that begin out of service, and the keys that servers missed, if all are known.
        """
        table = PlaceTable()
        for i, past in enumerate(pasts):
            table.add(i, past.place)
        present: set[int] = set()
        out: list[int] = []
        recalled: dict[int, Keys] = {}
        for number, record in self.records.items():
            near = table.near(record.place)
            present |= near if record.place else set()
            owes = any(pasts[i].owes for i in near)
            is_known = bool(near) and not any(pasts[i].is_outdated for i in near)
            keys = self._recalled(record, [pasts[i] for i in near]) if owes else None
            if keys is not None:
                recalled[number] = keys
            record.was_away = (owes and keys is None) or not (is_known or is_trusting)
            record.lost = set().union(*(pasts[i].lost for i in near))
            if owes or record.was_away or record.lost:
                record.begins_out(Cause.RECALLED, now)
                out.append(number)
        for i, past in enumerate(pasts):
            if i not in present:
                self._departed.add(past.place, -1, set(past.lost))
        return out, recalled

    def _recalled(self, record: Record, near: Sequence[Past]) -> Keys | None:
        """The keys that the server missed; None if they are not known, or may be another server's."""
        if len(near) != 1 or not record.place or near[0].place != record.place:
            return None
        [past] = near
        if past.process is None or past.keys is None:
            return None
        record.process, record.is_recalled = past.process, True
        return past.keys

    def remembered(self) -> list[Past]:
        """The entries for the next process: of the plan's servers, and of departed ones."""
        present = [
            Past(
                record.place,
                record.has_debts or record.health.state is not State.UP,
                frozenset(record.lost),
                number,
                record.missed_settled,
                record.missing_process,
            )
            for number, record in self.records.items()
        ]
        return present + [Past(place, owes=True, lost=frozenset(lost)) for place, lost in self._departed]


def _places_of(plan: Plan, places: Places | None) -> Places:
    return {server.name: spelled(server) for server in plan.servers} if places is None else places
