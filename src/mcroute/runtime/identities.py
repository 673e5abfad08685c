"""Checks which process answers at a server's address, and whether that is also another server.

The check follows each connection, and is repeated now and then.
"""

from __future__ import annotations

from ..policy import Kinship, Seen, Server, ServerStats
from .interfaces import FAILURES, OtherProcess, Task, Timer
from .server_log import ServerLog
from .supervised import Supervised
from .waiting import Slots, together

__all__ = ("Identities",)


class Identities:
    """Reports servers whose address leads to another process than theirs, or to another server."""

    def __init__(self, supervised: Supervised, lines: ServerLog) -> None:
        self._supervised = supervised
        self._upkeep = supervised.upkeep
        self._lines = lines
        self._asking: dict[int, Task[None]] = {}
        self._to_ask: set[int] = set()  # servers of `_asking` to be asked once more
        self._timers: dict[int, Timer] = {}
        self._foreign: dict[int, int | None] = {}  # the processes that were logged
        # Each question opens a connection, in addition to the links.
        self._connecting = Slots(supervised.clock, supervised.upkeep.controls_max)
        self._comparing = Slots(supervised.clock, supervised.upkeep.controls_max)

    def reset(self, number: int) -> None:
        """The id is another server's from now on."""
        self._foreign.pop(number, None)

    def cancel(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for task in self._asking.values():
            task.cancel()

    @property
    def tasks(self) -> list[Task[None]]:
        """The running questions, including cancelled ones that have not ended."""
        return list(self._asking.values())

    def ask(self, number: int) -> None:
        """Asks the server for its process, because another one may answer than before."""
        if self._supervised.is_closed or number not in self._supervised.servers:
            return
        if (timer := self._timers.pop(number, None)) is not None:
            timer.cancel()
        if number in self._asking:
            # The running question may get the answer of the process before.
            self._to_ask.add(number)
            return
        task = self._supervised.clock.start(self._ask(number, self._supervised.servers[number]))
        self._asking[number] = task
        task.add_done_callback(lambda _: self._asked(number))

    def _asked(self, number: int) -> None:
        del self._asking[number]
        if self._supervised.is_closed:
            return
        if number in self._to_ask:
            self._to_ask.remove(number)
            self.ask(number)
        elif number in self._supervised.servers:
            delay_s = self._upkeep.identity_again_s * (1 - 0.5 * self._supervised.rng.random())
            self._timers[number] = self._supervised.clock.call_later(delay_s, self.ask, number)

    async def _ask(self, number: int, server: Server) -> None:
        supervised = self._supervised
        async with self._connecting:
            asked_at, since = supervised.clock.lasting(), supervised.clock.now()
            try:
                stats = await supervised.clock.within(
                    self._upkeep.control_timeout_s, supervised.control.probe(server)
                )
            except FAILURES:
                # The links report failures; this question decides on nothing but the process.
                return
        if supervised.servers.get(number) != server:
            return
        supervised.abort_silent_links(number, since)
        if self.is_trusted(number, stats, asked_at):
            # It may have been restarted, or set back, while it served.
            supervised.carry_out(supervised.supervisor.found_set_back(number, supervised.clock.now()))
            await self.compare(number)
        else:
            supervised.carry_out(supervised.supervisor.found_foreign(number, supervised.clock.now()))

    # ---- one process under two names ----

    async def compare(self, number: int) -> None:
        """Compares the server with others of the same pid and start. One of two equal ones is ejected."""
        others = self._supervised.supervisor.lookalikes(number)[: self._upkeep.compared_max]
        await together(self._supervised.clock, (self._compare_with(number, other) for other in others))

    async def _compare_with(self, number: int, other: int) -> None:
        servers, supervisor = self._supervised.servers, self._supervised.supervisor
        server, second = servers.get(number), servers.get(other)
        if server is None or second is None:
            return
        is_one = await self._are_one(server, second)
        servers = self._supervised.servers
        # Without an answer, the next question compares them again.
        if is_one is None or servers.get(number) != server or servers.get(other) != second:
            return
        decisions = supervisor.compared(number, other, is_one, self._supervised.clock.now())
        self._supervised.carry_out(decisions)
        if is_one and supervisor.original(number) != other and supervisor.original(other) is None:
            self._lines.are_one(number, other, supervisor.process(number))

    async def _are_one(self, server: Server, other: Server) -> bool | None:
        """Returns None if one of the servers does not answer."""
        clock, control = self._supervised.clock, self._supervised.control
        async with self._comparing:
            try:
                return await clock.within(self._upkeep.compare_timeout_s, control.is_one_store(server, other))
            except FAILURES:
                return None

    async def check_new(self, server: Server) -> None:
        """Protects servers in service from the flush of a server that joins.

        Raises OtherProcess if the server is one of them under another name.
        """
        clock = self._supervised.clock
        asked_at = clock.lasting()
        async with self._connecting:
            stats = await clock.within(self._upkeep.control_timeout_s, self._supervised.control.probe(server))
        for number in self._supervised.supervisor.resembling(Seen(stats, asked_at, clock.lasting())):
            known = self._supervised.servers[number]
            if await self._are_one(server, known):
                raise OtherProcess(f"it is server {known.name} under another name")

    # ---- the process of before ----

    def is_trusted(self, number: int, stats: ServerStats, asked_at: float) -> bool:
        """Whether the process is the server's, or a restart of it. `asked_at` is of `Clock.lasting`."""
        supervisor = self._supervised.supervisor
        answered_at = self._supervised.clock.lasting()
        self._supervised.report_missed(number)
        known = supervisor.process(number)
        kin = supervisor.identified(number, Seen(stats, asked_at, answered_at))
        if kin is not Kinship.SAME:
            self._supervised.process_changed()
        if kin is not Kinship.FOREIGN:
            self._foreign.pop(number, None)
            return True
        if known is not None and self._foreign.get(number, -1) != stats.pid:
            self._foreign[number] = stats.pid
            pool = self._pool_of(number)
            self._lines.is_foreign(number, stats, known.pid, answered_at - known.alive_at, pool)
        return False

    def _pool_of(self, number: int) -> str:
        server = self._supervised.servers[number]
        pools = self._supervised.supervisor.plan.named_pools
        return next(pool.name for pool in pools if server in pool.servers)
