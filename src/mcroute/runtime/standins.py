"""Deletes from stand-ins the keys that they took for servers which serve again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..policy import Plan, ServerStats, State
from ..policy.standins import standins
from .identities import Identities
from .interfaces import FAILURES, TakenKeys, Task, Timer
from .server_log import ServerLog
from .supervised import Supervised
from .waiting import Slots

__all__ = ("StandIns",)

# Deletes in one piece, of at most 270 bytes each.
KEYS_AT_ONCE = 1024
# An item may live longer than its lifetime by this time, in seconds.
SLACK_S = 2.0


class StandIns:
    """Cleans stand-ins over `Control`. An engine asks none for a key that it may have an old value of."""

    def __init__(self, supervised: Supervised, identities: Identities, lines: ServerLog) -> None:
        self._supervised = supervised
        self._identities = identities
        self._lines = lines
        self._lifetimes: dict[int, int] = {}  # by stand-in: the longest lifetime of what it takes
        self._deleted: dict[int, int] = {}  # keys, by stand-in
        self._cleaning: dict[int, Task[None]] = {}
        self._to_clean: set[int] = set()  # servers of `_cleaning` to be looked at once more
        self._retries: dict[int, Timer] = {}
        self._controlling = Slots(supervised.clock, supervised.upkeep.controls_max)

    def install(self, plan: Plan, ids: Mapping[str, int], joining: Collection[int]) -> None:
        """Another plan, whose servers have these ids; `joining` were not in the plan before.

        A new stand-in may have values that an earlier process, or an earlier plan, has left there.
        """
        before = self._lifetimes
        self._lifetimes = {ids[name]: ttl_max_s for name, ttl_max_s in standins(plan).items()}
        now = self._supervised.clock.now()
        for number, ttl_max_s in self._lifetimes.items():
            if number not in before or number in joining:
                self._taken(number).distrust(now + ttl_max_s + SLACK_S)
                self._deleted[number] = 0
        for number in self._cleaning.keys() - self._lifetimes.keys():
            self._cleaning[number].cancel()
        self.look()

    def cancel(self) -> None:
        for timer in self._retries.values():
            timer.cancel()
        for task in self._cleaning.values():
            task.cancel()

    @property
    def tasks(self) -> list[Task[None]]:
        """The running cleanings, including cancelled ones that have not ended."""
        return list(self._cleaning.values())

    def reports(self) -> dict[str, tuple[int, int]]:
        """By the stand-in's name: keys that it has taken, and keys that were deleted there so far."""
        return {
            self._supervised.name(number): (len(self._taken(number)), self._deleted[number])
            for number in self._lifetimes
        }

    def _taken(self, number: int) -> TakenKeys:
        return self._supervised.engine.journal(number).taken

    def look(self) -> None:
        """Cleans the stand-ins. Call when a server was restored, and when an engine announces due keys."""
        if not self._lifetimes or self._supervised.is_closed:
            return
        clock = self._supervised.clock
        self._supervised.engine.set_date(max(0.0, clock.wall() - clock.now()))
        for number in self._lifetimes:
            if len(self._taken(number)):
                self._look_at(number)

    def _look_at(self, number: int) -> None:
        if (timer := self._retries.pop(number, None)) is not None:
            timer.cancel()
        if number in self._cleaning:
            self._to_clean.add(number)
            return
        task = self._cleaning[number] = self._supervised.clock.start(self._clean(number))
        task.add_done_callback(lambda _: self._ended(number))

    def _ended(self, number: int) -> None:
        del self._cleaning[number]
        is_wanted = number in self._to_clean
        self._to_clean.discard(number)
        if is_wanted and number in self._lifetimes and not self._supervised.is_closed:
            self._look_at(number)

    async def _clean(self, number: int) -> None:
        """Deletes the due keys, until there are none or the stand-in is out of service."""
        before = self._deleted[number]
        try:
            while self._is_up(number) and self._taken(number).begin():
                await self._delete(number)
        except (*FAILURES, RuntimeError) as error:
            self._failed(number, error)
        if (deleted := self._deleted[number] - before) and number in self._supervised.servers:
            self._lines.is_cleaned(number, deleted)

    def _failed(self, number: int, error: BaseException) -> None:
        if number in self._lifetimes and not self._supervised.is_closed:
            clock, delay_s = self._supervised.clock, self._supervised.upkeep.standin_again_s
            self._lines.cannot_be_cleaned(number, clock.now(), error)
            self._retries[number] = clock.call_later(delay_s, self._look_at, number)

    def _is_up(self, number: int) -> bool:
        # A stand-in that is out of service is looked at again when it serves.
        return self._supervised.supervisor.state(number) is State.UP

    async def _delete(self, number: int) -> None:
        supervised, taken = self._supervised, self._taken(number)
        clock, upkeep = supervised.clock, supervised.upkeep
        # A write that the stand-in has not executed yet would bring the key back.
        await clock.within(upkeep.control_timeout_s, supervised.links[number].passed())

        def take() -> list[bytes]:
            self._deleted[number] += taken.settle()
            return taken.take(KEYS_AT_ONCE)

        def allows(stats: ServerStats) -> bool:
            return self._identities.is_trusted(number, stats, asked_at)

        async with self._controlling:
            asked_at = clock.lasting()
            deleting = supervised.control.delete(supervised.servers[number], take, allows)
            await clock.within(supervised.supervisor.settings.replay_timeout_s, deleting)
