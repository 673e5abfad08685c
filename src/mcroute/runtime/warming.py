"""One server that came back empty gets its keys again: its twins' dumps are read, and the keys are copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..policy import State
from ..policy.copies import Copies
from ..policy.dumps import DumpedKey
from ..policy.reports import Warmth
from ..policy.warming import Dumps, Pace, Selection, Stop
from ..policy.warming_settings import WarmingSettings
from .dumps import Dump, DumpRefused
from .interfaces import FAILURES
from .refills import Refills
from .supervised import Supervised
from .warming_log import Filling, WarmingLog

__all__ = ("Stopped", "Warming")

# memcached does not list its keys while its hash table grows, and sends an empty list instead.
EMPTY_DUMPS = 3
# The interval of looks whether copies are still being checked.
SETTLE_LOOK_S = 0.1
# The counters in the order of `Filling`.
COUNTS = ("refilled", "refills_present", "refills_gone", "refills_undone", "refills_skipped")


@dataclass(slots=True)
class Twin:
    """A server whose keys are copied."""

    server: int
    dumps: Dumps
    due_at: float
    attempts: int = 0  # without success, in a row
    waits_since: float | None = None  # the first of them
    empty_dumps: int = 0


class Stopped(Exception):
    """The server is not filled any further."""

    def __init__(self, why: Stop) -> None:
        super().__init__(why.value)
        self.why = why


class _Left(ConnectionError):
    """The twin has left service."""


class Warming:
    """One server is filled from its twins."""

    def __init__(
        self,
        supervised: Supervised,
        refills: Refills,
        copies: Copies,
        log: WarmingLog,
        server: int,
        warmth: Warmth,
        settings: WarmingSettings,
    ) -> None:
        self._supervised = supervised
        self._clock = supervised.clock
        self._refills = refills
        self._copies = copies
        self._log = log
        self._server = server
        self._name = supervised.name(server)
        self._warmth = warmth
        self._settings = settings
        self._copying = Pace(settings.keys_per_s)
        self._first_rows: Mapping[bytes, bytes] | None = None
        self._begun_at = self._clock.now()
        self._counts = dict(refills.counts(self._name))
        self._logged_at = self._looks_at = self._begun_at

    async def run(self, servers: list[int]) -> None:
        """Returns when all that the twins list is copied. Raises Stopped."""
        await self._look()
        now = self._clock.now()
        twins = [Twin(server, Dumps(self._settings.keys_max), now) for server in servers]
        while twins:
            twin = min(twins, key=lambda twin: twin.due_at)
            await self._clock.sleep(max(0.0, twin.due_at - self._clock.now()))
            twin.due_at = self._clock.now()
            if not await self._read_and_copy(twin) or twin.dumps.is_over:
                twins.remove(twin)
        await self._settle()

    async def _read_and_copy(self, twin: Twin) -> bool:
        """The next reading of a dump. Returns whether the twin has more to give."""
        try:
            selection = await self._read(twin)
            if selection is None:
                return self._tries_again(twin, "it sends an empty list")
            await self._copy(twin, selection.take())
        except DumpRefused as error:
            if not twin.dumps.is_optional:
                self._log.refuses(twin.server, error)
                return False
            twin.dumps.skip()
            return True
        except FAILURES as error:
            return self._tries_again(twin, error)
        twin.attempts, twin.waits_since = 0, None
        twin.dumps.finished()
        return True

    def _tries_again(self, twin: Twin, why: Exception | str) -> bool:
        now = self._clock.now()
        twin.waits_since = now if twin.waits_since is None else twin.waits_since
        if now - twin.waits_since > self._settings.give_up_s:
            self._log.gives_up(self._server, twin.server, why)
            return False
        twin.due_at = now + self._settings.again_delay(twin.attempts, self._supervised.rng)
        twin.attempts += 1
        return True

    def _check(self, twin: Twin) -> None:
        if self._supervised.supervisor.state(twin.server) is not State.UP:
            raise _Left("it is out of service")

    # ---- reading ----

    async def _read(self, twin: Twin) -> Selection | None:
        """One reading of a dump of the twin. None for an empty list of a twin that may have items."""
        self._check(twin)
        control, clock, timeout_s = self._supervised.control, self._clock, self._settings.answer_timeout_s
        server = self._supervised.servers[twin.server]
        are_copies = self._copies.between(self._name, server.name)
        selection, count = twin.dumps.begin(), 0
        # A cancellation may come when the dump has begun, and `within` has not returned it yet.
        begun: list[Dump] = []

        async def begin() -> None:
            begun.append(await control.dump(server, twin.dumps.name))

        try:
            await clock.within(timeout_s, begin())
            while lines := await clock.within(timeout_s, begun[0].lines()):
                count += len(lines)
                begun_at = clock.now()
                self._select(twin, lines, are_copies, selection)
                busy_s = clock.now() - begun_at
                await clock.sleep(busy_s / self._settings.reading_share - busy_s)
                self._check(twin)
        finally:
            for dump in begun:
                dump.close()
        twin.empty_dumps = 0 if count else twin.empty_dumps + 1
        return selection if count or twin.empty_dumps > EMPTY_DUMPS else None

    def _select(
        self, twin: Twin, lines: list[bytes], are_copies: Callable[[bytes], bool], selection: Selection
    ) -> None:
        """Offers the keys that the server and the twin own copies of."""
        key_of = twin.dumps.key_of
        for line in lines:
            if selection.wants(line):
                key = key_of(line)
                if key is not None and are_copies(key.key):
                    selection.offer(key)

    # ---- copying ----

    async def _copy(self, twin: Twin, keys: Sequence[DumpedKey]) -> None:
        """Begins to copy these keys, at the rate of the settings."""
        self._warmth.ahead = len(keys)
        for are_base64, group in groupby(keys, lambda key: key.is_base64):
            await self._copy_alike(twin, [key.key for key in group], are_base64)
        self._warmth.ahead = 0

    async def _copy_alike(self, twin: Twin, keys: list[bytes], are_base64: bool) -> None:
        settings, clock = self._settings, self._clock
        some = max(1, round(settings.keys_per_s * settings.feed_s))
        begun = 0
        while begun < len(keys):
            piece = keys[begun : begun + some]
            await clock.sleep(self._copying.delay(clock.now(), len(piece)))
            self._check(twin)
            count = self._begin(twin, piece, are_base64)
            begun += count
            self._warmth.begun += count
            self._warmth.ahead -= count
            if clock.now() >= self._looks_at:
                self._looks_at = clock.now() + settings.look_s
                await self._look()
                self._log_progress()

    def _begin(self, twin: Twin, keys: list[bytes], are_base64: bool) -> int:
        try:
            return self._refills.begin(keys, twin.server, self._server, are_base64)
        except RuntimeError:
            # Each further attempt would hold the supervision up.
            raise Stopped(Stop.HANGING) from None

    async def _settle(self) -> None:
        """Waits until the last copies are checked."""
        ends_at = self._clock.now() + self._settings.settle_s
        while self._refills.open() and self._clock.now() < ends_at:
            await self._clock.sleep(SETTLE_LOOK_S)

    async def _look(self) -> None:
        """Raises Stopped if the server has no room for more, or is another process."""
        supervised = self._supervised
        asking = supervised.control.stats(supervised.servers[self._server])
        try:
            rows = await self._clock.within(supervised.upkeep.control_timeout_s, asking)
        except FAILURES:
            # Its links find out whether it serves.
            return
        if self._first_rows is None:
            self._first_rows = rows
        before = self._first_rows
        if rows.get(b"pid") != before.get(b"pid"):
            raise Stopped(Stop.RESTARTED)
        if rows.get(b"evictions") != before.get(b"evictions"):
            raise Stopped(Stop.EVICTS)

    def _log_progress(self) -> None:
        now = self._clock.now()
        if now - self._logged_at >= self._settings.log_s:
            self._logged_at = now
            self._log.goes_on(self._server, self.filling())

    def filling(self) -> Filling:
        """The figures of this task up to now."""
        counts = self._refills.counts(self._name)
        return Filling(
            self._clock.now() - self._begun_at,
            self._warmth.ahead,
            *(counts[name] - self._counts[name] for name in COUNTS),
        )
