"""The supervisor on an asyncio loop: failures go in, and what it decides is carried out.

What it cannot see by itself is looked up in the engine: trips, and writes that servers missed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from ..errors import RemoteProtocolError
from ..policy import (
    Cause,
    Condition,
    Decision,
    Fence,
    Flush,
    Flushing,
    FlushStep,
    Kinship,
    Look,
    PanicChanged,
    Past,
    Place,
    Places,
    Plan,
    Probe,
    Seen,
    Server,
    ServerState,
    ServerStats,
    SetState,
    State,
    Supervisor,
    SupervisorSettings,
)
from . import asyncio_control as control
from .addresses import LoopAddress, place_of
from .asyncio_links import LinksReport
from .log_limit import LogLimit
from .timing import in_time

__all__ = ("Links", "SupervisedEngine", "Supervision")

# Less than the supervisor gives each of its stages, so that every stage ends with a report.
CONTROL_TIMEOUT_S = 2.0
# So many connections are under way at once for probes, and for the later stages of returns.
PROBES_MAX = 128
CONTROLS_MAX = 64
# What a return waits for is logged when it has waited for some seconds, and then so often.
AWAITED_S = 2.0
AWAITED_AGAIN_S = 60.0
# A reload waits so long for the flush of servers that come back; later they are out of service meanwhile.
RELOAD_FLUSH_S = 5.0
# The links of servers that have left are looked at so often.
DEPARTED_LOOK_S = 0.02
# A server that does not say how large its values may be is asked again, then taken to have the default.
SIZE_TRIES = 4
SIZE_RETRY_S = 1.0
# A server is asked again whether it is still the same after this time, less a random half of it.
IDENTIFY_AGAIN_S = 60.0
# What requests that come at the beginning wait for it at most.
SIZE_WAIT_S = 0.5
NO_PROCESS = control.spell_address("unix", 0)
# A reason why a server cannot be used is told again after this time, if it has not changed.
FAILURE_AGAIN_S = 600.0
STARVED_AGAIN_S = 10.0
FAILURES = (OSError, asyncio.TimeoutError, RemoteProtocolError, ValueError)

# A server's refused retries are logged once in this time.
LOG_AGAIN_S = 10.0
# Late replies and refused retries are looked for so soon after there may be some.
TROUBLES_LOOK_S = 0.1


def _lasting_time() -> float:
    """Seconds that go on while this machine sleeps, where there is such a clock: servers' uptimes do."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


log = logging.getLogger("mcroute")


def _unheard() -> None:
    pass


class SupervisedEngine(Protocol):
    """What the supervisor sees of an engine, or of several that act as one; servers are ids."""

    def server_state(self, server: int) -> int: ...

    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None: ...

    def keep(self, server: int, is_kept: bool) -> None:
        """Whether failures leave the server in service."""

    def is_spared(self, server: int) -> bool:
        """Whether they have done so since its state was set."""

    def is_stale(self, server: int) -> bool:
        """Whether it has missed a write for good since it was put into service."""

    def missed_writes(self, server: int) -> int: ...

    def troubles(self) -> Mapping[int, tuple[int, int]]:
        """By server: late replies, and retries that the budget refused. They only grow."""

    def set_item_size_max(self, server: int, size: int) -> None:
        """The server stores values of up to `size` bytes."""


class Links(Protocol):
    """All links to one server as one thing: each key has one of them, so it takes all of them to serve."""

    server: Server

    def __len__(self) -> int: ...

    def look(self) -> LinksReport:
        """How all of them are, at one moment; costs as much as any of its parts."""

    @property
    def connected(self) -> int:
        """How many of them are."""

    @property
    def are_connected(self) -> bool:
        """All of them."""

    @property
    def unanswered(self) -> int:
        """Requests on all of them that have no reply yet."""

    @property
    def version(self) -> str:
        """What the server calls itself; empty before it has said so."""

    @property
    def addresses(self) -> frozenset[str]:
        """Our ends of those that are connected, as `asyncio_control` spells them."""

    def set_timeout(self, timeout_s: float) -> None:
        """For connections that will be made."""

    def set_server(self, server: Server, addresses: Sequence[LoopAddress]) -> None:
        """The same server under another name or address: for connections that will be made."""

    async def tried(self) -> None:
        """Returns when the first attempt to connect each of them is over."""

    def hurry(self) -> None:
        """Those that wait for their next attempt to connect make it now."""

    async def settled(self) -> None:
        """Hurries them. Returns when all are connected at the same time, and every request is answered."""

    def abort_silent(self, since: float) -> None:
        """Closes those that owe replies and were last heard before then (the loop's time)."""

    def abort_unsettled(self) -> None:
        """Closes those with unanswered requests; they are connected again."""

    def cancel(self) -> Sequence[asyncio.Task[None]]:
        """None is connected again once the returned tasks have ended."""

    def abort(self) -> None:
        """Closes all of them."""

    async def gone(self) -> None:
        """Returns when none is connected."""


class Supervision:
    """Health of the servers of a carried engine. `links` are the owner's, by id."""

    def __init__(
        self,
        plan: Plan,
        engine: SupervisedEngine,
        links: Mapping[int, Links],
        loop: asyncio.AbstractEventLoop,
        rng: Random,
        settings: SupervisorSettings | None,
    ) -> None:
        self.links = links
        places = {server.name: place_of(server) for server in plan.servers}
        self.supervisor = Supervisor(plan, rng, settings, places)
        self._servers = {plan.server_ids[server.name]: server for server in plan.servers}
        self._engine = engine
        self._loop = loop
        self._out: dict[int, tuple[float, int]] = {}  # of service: since when, and its flushes until then
        self._awaited_logs: dict[int, float] = {}  # when it is due to be logged what a return waits for
        # While not all links of a server are connected: writes missed when the first of these was lost.
        self._missed_before_loss = dict.fromkeys(self._servers, 0)
        self._losses = dict.fromkeys(self._servers, 0)  # of links
        self._stages: dict[int, asyncio.Task[None]] = {}  # the last one of each server, until it ends
        self._ending: set[asyncio.Task[None]] = set()  # stages that have been given up
        self._sizing: dict[int, asyncio.Task[None]] = {}  # servers asked for their largest value
        self._identifying: dict[int, asyncio.Task[None]] = {}  # servers asked who they are
        self._to_identify: set[int] = set()  # of these, those that are to be asked once more
        self._identify_timers: dict[int, asyncio.TimerHandle] = {}
        self._foreign: dict[int, int | None] = {}  # the processes that were logged
        self._rng = rng
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._troubles: dict[int, tuple[int, int]] = {}  # as the engine counted them when it was last looked
        self._troubles_timer: asyncio.TimerHandle | None = None
        self._refusals_logged_at: dict[int, float] = {}
        self.on_change: Callable[[], None] = _unheard  # what another process has to know
        self._failures_told = LogLimit(FAILURE_AGAIN_S)
        self._starved_told = LogLimit(STARVED_AGAIN_S)
        self._kept: set[int] = set()  # as the engine knows
        self._keep(self.supervisor.kept(), True)
        # Each of them takes connections of its own, beside the servers' links.
        self._probing = asyncio.Semaphore(PROBES_MAX)
        self._controlling = asyncio.Semaphore(CONTROLS_MAX)
        self._introducing = asyncio.Semaphore(CONTROLS_MAX)

    def close(self) -> None:
        """Gives up what is under way; what is reported from now on is ignored."""
        self._is_closed = True
        for timer in (self._timer, self._troubles_timer, *self._identify_timers.values()):
            if timer is not None:
                timer.cancel()
        for task in (*self._stages.values(), *self._sizing.values(), *self._identifying.values()):
            task.cancel()

    async def closed(self) -> None:
        """Returns when what `close` gave up has ended, connections included."""
        tasks = (
            *self._stages.values(),
            *self._ending,
            *self._sizing.values(),
            *self._identifying.values(),
        )
        await asyncio.gather(*tasks, return_exceptions=True)
        # Transports report their end in the next turn of the loop.
        await asyncio.sleep(0)

    def recall(self, pasts: Sequence[Past], is_trusting: bool) -> None:
        """Begins where an earlier process has ended; before anything is asked of the servers."""
        decisions = self.supervisor.recall(pasts, is_trusting, self._loop.time())
        self._carry_out(decisions, "an earlier proxy has left it so, or nothing is known of it")

    # ---- another plan ----

    async def flush_outdated(self, plan: Plan, places: Places | None = None) -> list[Server]:
        """Flushes servers that come back by this plan. Returns those of which nothing is certain yet."""
        servers = self.supervisor.outdated(plan, places)
        flushes = (in_time(self._empty(server), RELOAD_FLUSH_S) for server in servers)
        results = await asyncio.gather(*flushes, return_exceptions=True)
        return [server for server, result in zip(servers, results, strict=True) if result is not None]

    async def _empty(self, server: Server) -> None:
        """Returns when a flush of the server is certain. Raises TimeoutError, and as `control.flush`."""
        settings = self.supervisor.settings.flush
        flushing = Flushing(settings)
        while True:
            delay_s = None if flushing.step is FlushStep.LOOK else flushing.delay_s
            step = flushing.heard(await self._stats_after_flush(server, delay_s), self._loop.time())
            if step is FlushStep.DONE:
                return
            await asyncio.sleep(0 if step is FlushStep.FLUSH_NOW else settings.again_s)

    def install(
        self,
        plan: Plan,
        ids: Mapping[str, int],
        unflushed: Sequence[Server],
        settings: SupervisorSettings | None,
        places: Places | None = None,
    ) -> None:
        """Supervises the servers of a plan that the engine has admitted and installs next."""
        missed = {number: self._engine.missed_writes(number) for number in ids.values()}
        # Whom the engine has ejected until now, and nobody has heard of yet, is not to be put back.
        self.look_for_trips()
        self._tell_all_who_are_stale()
        stays = self.supervisor.continued(plan, places)
        self._servers = {ids[server.name]: server for server in plan.servers}
        joining = {number for number, server in self._servers.items() if server.name not in stays}
        # A number that another server has now is nobody's who was kept.
        self._keep(self._kept - (self._servers.keys() - joining), False)
        self._out = {n: since for n, since in self._out.items() if n in self._servers}
        for number in joining:
            self._missed_before_loss[number] = missed[number]
            self._troubles.pop(number, None)
            self._refusals_logged_at.pop(number, None)
            self._foreign.pop(number, None)
        self._losses = {n: self._losses.get(n, 0) for n in self._servers}
        for server, task in self._stages.items():
            if server not in self._servers:
                task.cancel()
        decisions = self.supervisor.install(
            plan,
            self._loop.time(),
            ids=ids,
            missed=missed,
            unflushed=unflushed,
            settings=settings,
            places=places,
        )
        why = "it may have missed writes while it was not in use, or had another name, and is not flushed yet"
        self._carry_out(decisions, why)

    # ---- what links and the engine report ----

    def connected(self, server: int) -> None:
        self._ask_size(server)
        self._identify(server)
        self.supervisor.connected(server)
        self.on_change()
        before = self._missed_before_loss.get(server, math.inf)
        if self.supervisor.state(server) is State.UP and self._engine.missed_writes(server) > before:
            # It was the last one of its pool, and kept; now that others may serve, it returns in order.
            self._tripped(server, "it missed writes while it was kept as the last one", Cause.KEPT)
        if server in self.links and self.links[server].are_connected:
            self._missed_before_loss.pop(server, None)

    def connect_failed(self, server: int, why: str) -> None:
        was_out = server in self._out
        self._tell_who_is_stale(server)
        self._carry_out(self.supervisor.connect_failed(server, self._loop.time()), why)
        # A line when the reason changes; the same one again and again says nothing.
        kind = why.partition(":")[0]
        is_new = self._failures_told.is_due((server, kind), self._loop.time())
        if is_new and server in self._servers and (was_out or server not in self._out):
            log.warning("server %s cannot be used: %s", self._name(server), why)

    def starved(self, server: int) -> None:
        """No descriptor or memory was left for a connection to the server, which has not failed."""
        if server in self._servers and self._starved_told.is_due(server, self._loop.time()):
            log.error("no descriptor or memory is left for a connection to server %s", self._name(server))

    def located(self, server: int, place: Place) -> None:
        """The server's address means this place from now on."""
        decisions = self.supervisor.located(server, place, self._loop.time())
        if decisions and server in self.links:
            # They lead to where it was.
            self.links[server].abort()
        if decisions:
            self._carry_out(decisions, "its name means another address now")

    def link_lost(self, server: int, local_address: str, writes_in_flight: int, missed: int) -> bool:
        """Whether the server may go on serving over its next connection: it has no write to execute yet.

        `missed` are the writes that the server had missed when that happened.
        """
        if server in self._servers:
            before = self._missed_before_loss.get(server, missed)
            self._missed_before_loss[server] = min(before, missed)
            self._losses[server] += 1
        self.supervisor.link_lost(server, local_address, writes_in_flight)
        self.on_change()
        self.look_for_trips()
        if writes_in_flight:
            why = f"its connection was lost with writes in flight ({writes_in_flight})"
            self._tripped(server, why, Cause.LOST_WRITES)
        return self.supervisor.state(server) is State.UP

    def look_for_trips(self) -> None:
        """To be called whenever the engine may have counted a failure."""
        self._look_for_troubles_soon()
        tripped = sorted(filter(self._has_tripped, self.supervisor.serving))
        # Who may hold old values goes first: of several the last one is kept, and that should not be it.
        for server in sorted(tripped, key=self._engine.is_stale, reverse=True):
            # Not one that has been put back because of another one.
            if self._has_tripped(server):
                self._tripped(server, "it failed too often in a row, or missed a write")

    def _look_for_troubles_soon(self) -> None:
        """All servers are looked at: not once for each of many events."""
        if self._troubles_timer is None and not self._is_closed:
            self._troubles_timer = self._loop.call_later(TROUBLES_LOOK_S, self._look_for_troubles_now)

    def _look_for_troubles_now(self) -> None:
        self._troubles_timer = None
        self.look_for_troubles()

    def look_for_troubles(self) -> None:
        """To be called when the engine may have noticed a slow server: it does so once a second at most."""
        now = self._loop.time()
        for server, (late, refused) in self._engine.troubles().items():
            if server not in self._servers:
                continue
            late_before, refused_before = self._troubles.get(server, (0, 0))
            self._troubles[server] = (late, refused)
            if late > late_before:
                if self.supervisor.condition(server, now) is Condition.UP:
                    log.warning(
                        "server %s is slow: its replies take longer than reply_timeout_s", self._name(server)
                    )
                self.supervisor.slow(server, now)
            if (
                refused > refused_before
                and now >= self._refusals_logged_at.get(server, -math.inf) + LOG_AGAIN_S
            ):
                self._refusals_logged_at[server] = now
                log.warning(
                    "server %s: the retry budget is spent; %d requests that timed out there were not sent to "
                    "another copy so far",
                    self._name(server),
                    refused,
                )

    def _has_tripped(self, server: int) -> bool:
        """In the engine, unknown to the supervisor."""
        if self.supervisor.state(server) is not State.UP:
            return False
        return self._engine.server_state(server) != ServerState.UP or self._engine.is_spared(server)

    def _tell_who_is_stale(self, failed: int) -> None:
        """A failure of one may lift others, if it served."""
        if self.supervisor.state(failed) is State.UP:
            self._tell_all_who_are_stale()

    def _tell_all_who_are_stale(self) -> None:
        for server in tuple(filter(self._engine.is_stale, self.supervisor.unsuspicious)):
            self.supervisor.stale(server)

    def _tripped(self, server: int, why: str, cause: Cause | None = None) -> None:
        self._tell_who_is_stale(server)
        self._carry_out(self.supervisor.tripped(server, self._loop.time(), cause), why)
        if self.supervisor.state(server) is State.UP:
            # It is kept. Perhaps it answers, and its connections are what is silent.
            self._identify(server)

    def _drop_silent_links(self, server: int, asked_at: float) -> None:
        """A new connection was answered: links that had been silent for too long by then lead nowhere.

        A firewall that has forgotten them drops their packets, and nobody resets them.
        """
        name = self._name(server)
        timeouts = [
            pool.reply_timeout_s
            for pool in self.supervisor.plan.pools
            if any(member.name == name for member in pool.servers)
        ]
        if server in self.links and timeouts:
            self.links[server].abort_silent(asked_at - max(timeouts))

    # ---- who they are ----

    def _identify(self, number: int) -> None:
        """Another process may answer there than before."""
        if self._is_closed or number not in self._servers:
            return
        if (timer := self._identify_timers.pop(number, None)) is not None:
            timer.cancel()
        if number in self._identifying:
            # The answer under way may be that of the process before.
            self._to_identify.add(number)
            return
        task = self._loop.create_task(self._look_who_answers(number))
        self._identifying[number] = task
        task.add_done_callback(lambda _: self._identified(number))

    def _identified(self, number: int) -> None:
        del self._identifying[number]
        if self._is_closed:
            return
        if number in self._to_identify:
            self._to_identify.remove(number)
            self._identify(number)
        elif number in self._servers:
            delay_s = IDENTIFY_AGAIN_S * (1 - 0.5 * self._rng.random())
            self._identify_timers[number] = self._loop.call_later(delay_s, self._identify, number)

    async def _look_who_answers(self, number: int) -> None:
        server = self._servers[number]
        async with self._introducing:
            asked_at, since = _lasting_time(), self._loop.time()
            try:
                stats = await in_time(control.probe(server), CONTROL_TIMEOUT_S)
            except FAILURES:
                # The links' matter: whether it serves is not decided here.
                return
        if self._servers.get(number) == server:
            self._drop_silent_links(number, since)
        if self._servers.get(number) == server and not self._is_trusted(number, stats, asked_at):
            why = "another memcached answers there"
            self._carry_out(self.supervisor.estranged(number, self._loop.time()), why)

    def _is_trusted(self, number: int, stats: ServerStats, asked_at: float) -> bool:
        """Whether what answers is the server, or a restart of it."""
        heard_at = _lasting_time()
        known = self.supervisor.process(number)
        kin = self.supervisor.identified(number, Seen(stats, asked_at, heard_at))
        if kin is not Kinship.FOREIGN:
            self._foreign.pop(number, None)
            return True
        if known is not None and self._foreign.get(number, -1) != stats.pid:
            self._foreign[number] = stats.pid
            log.warning(
                "server %s is another memcached than before: pid %s, running for %s s, while pid %d answered "
                "here %.0f s ago; it is left alone (pools.%s.identity)",
                self._name(number),
                stats.pid,
                stats.uptime,
                known.pid,
                heard_at - known.alive_at,
                self._pool_of(number),
            )
        return False

    def _pool_of(self, number: int) -> str:
        server = self._servers[number]
        return next(pool.name for pool in self.supervisor.plan.named_pools if server in pool.servers)

    # ---- how large values are ----

    def _ask_size(self, number: int) -> None:
        """It may have been started anew, with another -I."""
        if self._is_closed or number not in self._servers or number in self._sizing:
            return
        task = self._loop.create_task(self._learn_size(number, self._servers[number]))
        self._sizing[number] = task
        task.add_done_callback(lambda _: self._sizing.pop(number, None))

    async def _learn_size(self, number: int, server: Server) -> None:
        for attempt in range(SIZE_TRIES):
            await asyncio.sleep(attempt * SIZE_RETRY_S)
            try:
                said = await in_time(control.settings(server), CONTROL_TIMEOUT_S)
                size = int(said[b"item_size_max"])
            except KeyError:
                # It answers, and has no such setting: no memcached, and as good as one by default.
                return
            except FAILURES:
                continue
            if size > 0 and self._servers.get(number) == server:
                self._engine.set_item_size_max(number, size)
            return

    async def sizes_known(self) -> None:
        """Returns when servers that have just been connected to have said how large their values may be.

        After `SIZE_WAIT_S` at the latest: until a server has said so it is taken for one with the default.
        """
        if self._sizing:
            await asyncio.wait(tuple(self._sizing.values()), timeout=SIZE_WAIT_S)

    # ---- decisions ----

    def _carry_out(self, decisions: Sequence[Decision], why: str = "") -> None:
        """`why` is for the log, if a server goes out of service by this."""
        if self._is_closed:
            return
        touched = self.supervisor.take_touched()
        kept = {server for server in touched if self.supervisor.is_kept(server)}
        # The last one that serves never goes out by a trip: neither the one before, nor the one after this.
        self._keep(kept - self._kept, True)
        for decision in decisions:
            self._carry_out_one(decision, why)
        self._keep(self._kept & (touched - kept), False)
        self._arm()
        if any(isinstance(decision, SetState) for decision in decisions):
            self.on_change()

    def _carry_out_one(self, decision: Decision, why: str) -> None:
        if isinstance(decision, SetState):
            if decision.server in self._out:
                # What it answered late while it was out says nothing about how it serves again.
                self._troubles[decision.server] = self._engine.troubles().get(decision.server, (0, 0))
            self._set_state(decision)
            self._log_service(decision, why)
        elif isinstance(decision, Probe):
            self._start(decision.server, self._probe(decision.server))
        elif isinstance(decision, Fence):
            self._start(decision.server, self._fence(decision))
        elif isinstance(decision, (Flush, Look)):
            self._start(decision.server, self._flush(decision))
        elif isinstance(decision, PanicChanged):
            log.warning("pool %s: panic %s", decision.pool, "begins" if decision.is_panic else "ends")

    def _keep(self, servers: Collection[int], is_kept: bool) -> None:
        for server in servers:
            self._engine.keep(server, is_kept)
        (self._kept.update if is_kept else self._kept.difference_update)(servers)

    def _set_state(self, decision: SetState) -> None:
        self._engine.set_server_state(decision.server, decision.state, decision.missed, decision.unless_stale)
        if self._engine.server_state(decision.server) != decision.state:
            # Not at once: the supervisor has said more, and expects that to be done first.
            self._loop.call_soon(self.look_for_trips)

    def _log_service(self, decision: SetState, why: str) -> None:
        server = decision.server
        if decision.state is not ServerState.UP and server not in self._out:
            self._out[server] = self._loop.time(), self.supervisor.flushes(server)
            log.warning("server %s is out of service: %s", self._name(server), why)
        elif decision.state is ServerState.UP and server in self._out:
            since, flushes = self._out.pop(server)
            self._awaited_logs.pop(server, None)
            away_s = self._loop.time() - since
            what = (
                "flushed" if self.supervisor.flushes(server) > flushes else "not flushed: it missed no write"
            )
            log.warning("server %s serves again after %.1f s, %s", self._name(server), away_s, what)
            # Its links may wait for their next attempt. Later: a thread that hangs must not delay this.
            if server in self.links:
                self._loop.call_soon(self.links[server].hurry)

    def _name(self, server: int) -> str:
        return self._servers[server].name

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.supervisor.next_wakeup()
        if due is not None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._carry_out(self.supervisor.tick(self._loop.time()))

    def _start(self, server: int, stage: Coroutine[Any, Any, None]) -> None:
        """One stage at a time: what an earlier one would report is not about this one."""
        before = self._stages.pop(server, None)
        if before is not None and before is not asyncio.current_task():
            before.cancel()
            self._ending.add(before)
        task = self._stages[server] = self._loop.create_task(stage)
        task.add_done_callback(lambda task: self._ended(server, task))

    def _ended(self, server: int, stage: asyncio.Task[None]) -> None:
        self._ending.discard(stage)
        if self._stages.get(server) is stage:
            del self._stages[server]

    def _report_missed(self, server: int) -> None:
        self.supervisor.missed_writes(server, self._engine.missed_writes(server))

    async def _probe(self, server: int) -> None:
        try:
            async with self._probing:
                if self.supervisor.state(server) is not State.PROBING:
                    # It has waited here for longer than the stage lasts.
                    return
                asked_at, since = _lasting_time(), self._loop.time()
                stats = await in_time(control.probe(self._servers[server]), CONTROL_TIMEOUT_S)
            self._drop_silent_links(server, since)
            is_trusted = self._is_trusted(server, stats, asked_at)
        except FAILURES:
            is_trusted = False
        if not is_trusted:
            self._carry_out(self.supervisor.probe_failed(server, self._loop.time()))
        else:
            self._carry_out(self.supervisor.probe_answered(server, self._loop.time()))

    async def _fence(self, decision: Fence) -> None:
        server, connections = decision.server, decision.connections
        links = self.links[server]
        if decision.awaits_departed and not await self._have_departed():
            self._carry_out(self.supervisor.fence_failed(server, self._loop.time()))
            return
        try:
            await in_time(links.settled(), CONTROL_TIMEOUT_S)
        except asyncio.TimeoutError:
            # Others get answers and a connection does not: its past is settled by closing it.
            links.abort_unsettled()
            self._carry_out(self.supervisor.fence_failed(server, self._loop.time()))
            return
        try:
            still_listed, is_blind = await self._still_listed(server, connections)
        except FAILURES as error:
            log.warning("server %s cannot be fenced: %s", self._name(server), _reason(error))
            self._carry_out(self.supervisor.fence_failed(server, self._loop.time()))
            return
        self._report_missed(server)
        if still_listed:
            self._log_awaited(server, still_listed, is_blind)
        self._carry_out(self.supervisor.fence_answered(server, still_listed, self._loop.time(), is_blind))

    async def _have_departed(self) -> bool:
        """Awaits the end of the links of servers that have left. Whether it came in time."""
        ends_at = self._loop.time() + CONTROL_TIMEOUT_S
        while self.links.keys() - self._servers.keys():
            if self._loop.time() >= ends_at:
                return False
            await asyncio.sleep(DEPARTED_LOOK_S)
        return True

    async def _still_listed(self, server: int, connections: frozenset[str]) -> tuple[frozenset[str], bool]:
        """Lost connections that the server still has, or may have, and whether its list cannot show it."""
        if not connections:
            return connections, False
        if self._servers[server].path:
            return await self._still_of_process(server, connections), False
        try:
            async with self._controlling:
                asking = control.listed_connections(self._servers[server])
                listed = await in_time(asking, CONTROL_TIMEOUT_S)
        except control.OtherAddresses:
            return connections, True
        # A new link may have got the address of a lost one, which then exists no more.
        return (connections & listed) - self.links[server].addresses, False

    async def _still_of_process(self, server: int, connections: frozenset[str]) -> frozenset[str]:
        """By a unix socket: another process that listens has none of them, this one lists them nameless."""
        links, losses = self.links[server], self._losses[server]
        count = links.connected
        async with self._controlling:
            asking = control.unix_connections(self._servers[server])
            process, listed = await in_time(asking, CONTROL_TIMEOUT_S)
        if process != NO_PROCESS:
            connections &= {process}
        # All ours had answered before, and are among these: are there more?
        are_all_ours = listed <= count and losses == self._losses[server] and links.are_connected
        return frozenset() if are_all_ours else connections

    def _log_awaited(self, server: int, connections: frozenset[str], is_blind: bool) -> None:
        now = self._loop.time()
        if now < self._awaited_logs.setdefault(server, now + AWAITED_S):
            return
        self._awaited_logs[server] = now + AWAITED_AGAIN_S
        settings = self.supervisor.settings
        name, size = self._name(server), len(connections)
        if is_blind:
            text = "server %s does not list our connections: %d lost ones (%s) count as gone after %g s"
            log.warning(text, name, size, _some(connections), settings.fence_blind_s)
        else:
            text = "server %s still lists %d lost connections with writes (%s): awaited for at most %g s"
            log.warning(text, name, size, _some(connections), settings.fence_listed_s)

    async def _stats_after_flush(
        self, server: Server, delay_s: int | None, number: int | None = None
    ) -> ServerStats:
        """None: without a flush. A server of the plan, with a number, is flushed if its process is known."""
        async with self._controlling:
            asked_at = _lasting_time()

            def allows(stats: ServerStats) -> bool:
                return number is None or self._is_trusted(number, stats, asked_at)

            asking = control.look(server) if delay_s is None else control.flush(server, delay_s, allows)
            return await in_time(asking, CONTROL_TIMEOUT_S)

    async def _flush(self, decision: Flush | Look) -> None:
        server = decision.server
        try:
            delay_s = decision.delay_s if isinstance(decision, Flush) else None
            stats = await self._stats_after_flush(self._servers[server], delay_s, server)
        except FAILURES as error:
            log.warning("server %s cannot be flushed: %s", self._name(server), _reason(error))
            self._carry_out(self.supervisor.flush_failed(server, self._loop.time()))
            return
        self._report_missed(server)
        self._carry_out(self.supervisor.flush_answered(server, stats, self._loop.time()))
        if self.supervisor.state(server) is State.EJECTED:
            timeout_s = self.supervisor.settings.flush.timeout_s
            why = f"not certain after {timeout_s:g} s, or a connection was lost meanwhile"
            log.warning("server %s cannot be flushed: %s", self._name(server), why)


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")


def _reason(error: BaseException) -> str:
    """Some exceptions have no text."""
    return str(error) or type(error).__name__
