"""An engine with its links, supervision and reloads: shared by proxies and clients, for any driver."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Literal

from ..policy import Limits, Place, Places, Plan, Server, ServerOptions, SupervisorSettings, Upkeep
from ..policy.places import Endpoint, fixed_endpoints
from .interfaces import (
    Clock,
    Driver,
    Journal,
    JournalStore,
    Links,
    LinksReport,
    RoutedEngine,
    StateStore,
    Task,
    Timer,
)
from .loss_log import LossLog
from .refills import Refills
from .saved_journals import SavedJournals
from .supervision import Supervision
from .waiting import Slots, ended

__all__ = ("FirstUse", "Routing")

FirstUse = Literal["trust", "flush"]

log: logging.Logger = logging.getLogger("mcroute")


class Routing:
    """A plan at work, on the driver's clock. `begin` connects, `close` ends.

    `rng` is the supervisor's only source of randomness. `state` is the state file, shared with the previous
    and the next process; `first_use` is for servers that it does not list.
    """

    def __init__(
        self,
        plan: Plan,
        driver: Driver,
        *,
        settings: SupervisorSettings | None = None,
        limits: Limits | None = None,
        rng: Random,
        state: StateStore | None = None,
        first_use: FirstUse = "trust",
        upkeep: Upkeep | None = None,
    ) -> None:
        self.plan: Plan = plan
        self.clock: Clock = driver.clock
        self.upkeep: Upkeep = upkeep or Upkeep()
        self.driver = driver
        self.engine: RoutedEngine = driver.engine
        self.engine.set_limits(limits or Limits())
        self.links: dict[int, Links] = {}  # by the server's id
        self._addresses: Mapping[str, list[Endpoint]] = {}  # by name, as far as resolved
        places = {server.name: driver.place_of(server) for server in plan.servers}
        self.supervision: Supervision = Supervision(
            plan,
            self.engine,
            self.links,
            self.clock,
            driver.control,
            rng,
            settings,
            places,
            self.upkeep,
            Refills(driver),
        )
        driver.supervise(self.supervision)
        self._losses = LossLog(self.engine, self.clock, self._name, self.upkeep)
        self.is_inherited: bool = False  # in a forked child: unusable there
        self._counts: dict[int, int] = {}  # of links: the largest number per id so far
        self._retiring: dict[Task[None], None] = {}  # in the order of their starts
        self._freeing: Timer | None = None
        self._installing = Slots(self.clock, 1)  # one plan after the other
        self._changing = Slots(self.clock, 1)  # the plan and its links
        self._state = state
        self._first_use = first_use
        self._has_begun = False
        self._remembering: Timer | None = None
        self._telling_time: Timer | None = None
        self._connections: Mapping[int, frozenset[str]] = {}
        self._remember_s = self.upkeep.remember_s
        self._owing: frozenset[Place] = frozenset()
        self._syncing: set[Task[None]] = set()
        self._remembered_at = self.clock.now()
        # Of any plan so far: requests of an earlier one may be under way.
        self._answers_early = plan.answers_early
        self._journals: SavedJournals | None = None
        if state is not None and state.journal is not None:
            self.engine.save_journals(state.journal.saver)
            self._journals = SavedJournals(
                state.journal, self.clock, self.upkeep.journal_fsync_s, self._all_journals, self._refresh
            )
        driver.at_fork(self.detach)

    async def prepare(self) -> None:
        """Looks the servers' names up, before `begin`. Takes no longer than one lookup may."""
        self._addresses = await self.driver.prepare(self.plan)

    def begin(self) -> None:
        """Starts to connect to the servers. Requests wait for the connections."""
        ids = self.engine.server_ids()
        for server in self.plan.servers:
            number = ids[server.name]
            self.supervision.located(
                number, self.driver.place_of(server, self._addresses.get(server.name, ()))
            )
            self._connect(number, server, self.plan.server_options[server.name])
        self.supervision.recall(self._state.pasts if self._state else (), self._first_use == "trust")
        if self._state is not None:
            self._remember(is_durable=True)
            self.supervision.on_change = self._remember_soon
        if self._journals is not None:
            self._journals.begin()
        self._has_begun = True
        self.driver.begin()
        self._losses.begin()
        self._tell_time()

    def _tell_time(self) -> None:
        """The clock of the machine may be set at any time; engines get the time since their start."""
        self._telling_time = self.clock.call_later(self.upkeep.wall_again_s, self._tell_time)
        self.engine.set_wall_offset(self.clock.wall() - self.clock.now())

    # ---- for another process ----

    def _remember_soon(self) -> None:
        # The engine's state words have each state at once; the file may be late.
        if self._remembering is None:
            self._remembering = self.clock.call_later(self._remember_s, self._remember)

    def _all_journals(self) -> Mapping[int, Journal]:
        return {number: self.engine.journal(number) for number in self.links}

    def _refresh(self) -> None:
        """Writes the state file after a while without a change: its times of processes are not to be old."""
        if self.clock.now() >= self._remembered_at + self.upkeep.identity_again_s:
            self._remember_soon()

    @property
    def journal_store(self) -> JournalStore | None:
        """What keeps the journals for the next process, if anything does."""
        return None if self._state is None else self._state.journal

    def _remember(self, is_durable: bool = False) -> None:
        """Writes the state file, and syncs it if other servers than before owe a flush."""
        if self._remembering is not None:
            self._remembering.cancel()
            self._remembering = None
        if self._state is None:
            return
        began_at = self._remembered_at = self.clock.now()
        pasts = self.supervision.supervisor.remembered()
        with contextlib.suppress(RuntimeError):  # a hanging thread still has its connections
            ids = {past.id for past in pasts}
            known = {number: links for number, links in self.links.items() if number in ids}
            self._connections = self.driver.addresses(known)
        self._state.write(pasts, self._connections, is_durable=is_durable, answers_early=self._answers_early)
        owing = frozenset(past.place for past in pasts if past.owes)
        if owing != self._owing and not is_durable:
            task = self.clock.beside(self._state.sync)
            self._syncing.add(task)
            task.add_done_callback(self._syncing.discard)
        self._owing = owing
        # While a thousand servers fail one by one, writes take at most a third of the time.
        self._remember_s = max(self.upkeep.remember_s, 2 * (self.clock.now() - began_at))

    def _remember_the_end(self) -> None:
        """Writes the last state. Servers with unanswered requests owe a flush: they may execute them."""
        if self._state is None:
            return
        pasts = []
        unanswered = {number for number, report in self.look().items() if report.unanswered}
        for past in self.supervision.supervisor.remembered():
            if past.id is not None and past.id in unanswered:
                past = replace(past, owes=True, lost=past.lost | self.links[past.id].addresses)
            pasts.append(past)
        # When the links are closed, their writes are noted in the journals, also those of answered clients.
        self._state.write(pasts, {}, is_clean=True, is_durable=True, answers_early=self._answers_early)

    async def recalled(self) -> None:
        """Returns when the servers that need nothing but a fence, after an earlier process, are fenced."""
        supervisor = self.supervision.supervisor
        while any(supervisor.is_only_fenced(number) for number in self.links):
            await self.clock.sleep(self.upkeep.retire_look_s)

    def _connect(self, number: int, server: Server, options: ServerOptions) -> None:
        # The engine divides keys among all links that the id has ever had.
        count = self._counts[number] = max(options.links, self._counts.get(number, 0))
        addresses = self._addresses.get(server.name, fixed_endpoints(server))
        options = replace(options, links=count)
        self.links[number] = self.driver.connect(number, server, options, addresses, self.upkeep)

    def look(self) -> Mapping[int, LinksReport]:
        """Returns a report on the links of each server, by id."""
        return self.driver.look(self.links)

    def _name(self, number: int) -> str:
        links = self.links.get(number)
        return links.server.name if links is not None else f"with the id {number}"

    async def tried(self) -> None:
        """Returns when the first attempt to connect has ended for every server, well or badly."""
        for links in tuple(self.links.values()):
            await links.tried()
        # Or requests would go to servers that are known to refuse.
        self.driver.take_events()
        await self.supervision.sizes_known()

    async def install(self, plan: Plan, settings: SupervisorSettings | None = None) -> None:
        """Installs another plan for later requests. Requests in flight end on the plan that they began on.

        A server that returns after an absence is flushed first. The links of removed servers are closed when
        no request needs them any more.
        """
        async with self._installing:
            if self._retiring:
                # A server that returns at once must finish its old requests before the flush.
                await ended(self.clock, self._retiring, self.upkeep.retire_timeout_s)
            addresses = await self.driver.prepare(plan)
            places = {
                server.name: self.driver.place_of(server, addresses[server.name]) for server in plan.servers
            }
            async with self._changing:
                unflushed = await self.supervision.flush_outdated(plan, places)
                self._addresses = addresses
                self._change(plan, places, unflushed, settings)
            self._free_plans()

    def _change(
        self, plan: Plan, places: Places, unflushed: Sequence[Server], settings: SupervisorSettings | None
    ) -> None:
        before = {server.name: server for server in self.plan.servers}
        stays = self.supervision.supervisor.continued(plan, places)
        renamed = {
            (server.name, server.address): (earlier.name, earlier.address)
            for server in plan.servers
            if server.name in stays and _is_renamed(server, earlier := before[stays[server.name]])
        }
        ids = self.engine.admit(plan, renamed)
        for server in plan.servers:
            if (server.name, server.address) in renamed:
                self.links[ids[server.name]].set_server(server, self._addresses[server.name])
        self._part_from_others({ids[server.name]: server for server in plan.servers})
        for server in plan.servers:
            self._keep(ids[server.name], server, plan.server_options[server.name])
        self.supervision.install(plan, ids, unflushed, settings, places)
        self._answers_early |= plan.answers_early
        self._remember()
        # Only now: threads send requests at once, and must find links, and unflushed servers ejected.
        self.engine.install(plan)
        self.plan = plan
        for number in self.links.keys() - set(ids.values()):
            task = self.clock.start(self._retire(number, self.links[number]))
            self._retiring[task] = None
            task.add_done_callback(self._retiring.pop)
        self.driver.schedule()

    def _part_from_others(self, servers: Mapping[int, Server]) -> None:
        """Removes the links of departed servers whose ids were reused."""
        others = [
            number
            for number, server in servers.items()
            if number in self.links and self.links[number].server.address != server.address
        ]
        for number in others:
            # The engine reuses an id only when no link of it is connected.
            self.links.pop(number).close()
        if others:
            # Read the events of the departed servers now, before the new ones have any.
            self.driver.take_events()

    def _free_plans(self) -> None:
        if self._freeing is not None:
            self._freeing.cancel()
        self._freeing = (
            self.clock.call_later(self.upkeep.free_plans_s, self._free_plans)
            if self.engine.free_plans()
            else None
        )

    def _keep(self, number: int, server: Server, options: ServerOptions) -> None:
        """Never changes the number of links: a request on another link could overtake an earlier one."""
        links = self.links.get(number)
        if links is None:
            self._connect(number, server, options)
            return
        links.set_options(options)
        if options.links != len(links):
            log.warning("server %s keeps %d links: another number needs a restart", server.name, len(links))

    async def _retire(self, number: int, links: Links) -> None:
        """Closes the links of a removed server when no request needs them."""
        while self._has_left(number, links) and self.engine.server_in_use(number):
            await self.clock.sleep(self.upkeep.retire_look_s)
        # The server may execute a timed-out request until it has replied.
        deadline = self.clock.now() + self.upkeep.retire_timeout_s
        while links.unanswered and self.clock.now() < deadline:
            await self.clock.sleep(self.upkeep.retire_look_s)
        async with self._changing:
            # A server that returned and left again has another task.
            if self._has_left(number, links) and not self.engine.server_in_use(number):
                links.close()
                await links.closed()
                del self.links[number]
                # If the server comes back it is flushed.
                self.engine.journal(number).clear()
                self.engine.journal(number).taken.clear()

    def _has_left(self, number: int, links: Links) -> bool:
        """Whether the server is still removed, and its id is no other server's."""
        return self.links.get(number) is links and number not in self.engine.server_ids().values()

    async def close(self) -> None:
        """Closes the links. Requests in flight get no reply any more."""
        if self._has_begun:
            with contextlib.suppress(RuntimeError):
                # With a hanging thread the state stays that of a killed process.
                self._remember_the_end()
        if self._journals is not None:
            self._journals.close()
        with contextlib.suppress(RuntimeError):
            self._losses.close()
        self.supervision.close()
        if self._telling_time is not None:
            self._telling_time.cancel()
        if self._freeing is not None:
            self._freeing.cancel()
        for retiring in list(self._retiring):
            retiring.cancel()
        try:
            await ended(self.clock, self._retiring)
            await self.supervision.closed()
        finally:
            # Also if close() is cancelled, or a thread hangs.
            try:
                for links in self.links.values():
                    links.close()
            finally:
                self.driver.close()
                if self._remembering is not None:
                    self._remembering.cancel()
                if self._state is not None:
                    self._state.close()
                    self._state = None
        for links in self.links.values():
            await links.closed()

    def detach(self) -> None:
        """For a child process after a fork: the connections belong to the parent only."""
        self.is_inherited = True
        self.driver.detach()
        if self._state is not None:
            if self._journals is not None:
                self._journals.close()
            # The parent holds the lock as long as it lives.
            self._state.close()
            self._state = None


def _is_renamed(server: Server, earlier: Server) -> bool:
    return server.name != earlier.name or server.address != earlier.address
