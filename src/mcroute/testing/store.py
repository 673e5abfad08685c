"""The items of a memcached: time, memory, flushes and CAS numbers; knows no protocol."""

from __future__ import annotations

import re
from itertools import takewhile

from .clocks import Clock, SystemClock
from .lru import Lists
from .maintainer import Maintainer
from .profiles import Limits, Profile
from .slabs import CHUNK, COLD, HOT, LINE_END, Item, SlabClass, Slabs, item_size

__all__ = ("Item", "OutOfMemory", "Store", "TooLarge", "counted")

# A relative expiry may be up to 30 days; anything larger is a Unix time (memcached's protocol.txt).
RELATIVE_LIMIT_S = 60 * 60 * 24 * 30
# The server's clock counts whole seconds, and has this value when it starts; `uptime` shows 60 less.
FIRST_SECOND = 62
UPTIME_OFFSET = 60
_MICROSECONDS = 1_000_000
_TRIES = 10  # to make room for an item
_NUMBER = re.compile(rb"[ \t-\r]*\+?(\d+)(?=[ \t-\r\0]|\Z)")


class OutOfMemory(Exception):
    """No free chunk, and nothing to evict.

    `is_while_reading`: memcached has a header for the item already, and reads the value.
    """

    def __init__(self, *, is_while_reading: bool = False) -> None:
        super().__init__()
        self.is_while_reading = is_while_reading


class TooLarge(Exception):
    """The item is above the limit of `-I`."""


class Store(Lists):
    """The items of one process; by default with this machine's clocks, and the newest profile.

    With `inherited` it has the items and the clock of an earlier process, `away_s` whole seconds later: `-e`.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        profile: Profile | None = None,
        limits: Limits | None = None,
        inherited: Store | None = None,
        away_s: int = 0,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.profile: Profile = profile or Profile.of()
        self._began = self.clock.monotonic()
        self._first = FIRST_SECOND
        super().__init__(limits or Limits(), FIRST_SECOND)
        self.now: int  # seconds of the server's clock, read by `tick`
        # Stores fail from now on, as under -M without a free chunk.
        self.is_full: bool = False
        # The Unix time of the server's second 0: dates of expiry are converted with it for good.
        self.epoch: int = int(self.clock.unix()) - FIRST_SECOND
        self.maintainer: Maintainer = Maintainer(self, self._second_at)
        self._last_cas = 1 if self.profile.flushes_by_seconds else 0
        if inherited is not None:
            self._inherit(inherited, away_s)

    def _inherit(self, old: Store, away_s: int) -> None:
        self.items: dict[bytes, Item] = old.items
        self.slabs: Slabs = old.slabs
        self.epoch = old.epoch
        self.now = self._first = old.now + away_s
        self._oldest_live, self._oldest_cas = old._oldest_live, old._oldest_cas
        self._last_cas = old.next_cas()
        for slab in self.slabs.classes:
            if slab.pages:
                self.maintainer.watch(slab)

    # ---- time ----

    def tick(self) -> None:
        """Reads the clock, and makes up for the LRU maintainer's work. To be called before each command."""
        passed = self.clock.monotonic() - self._began
        at = int(passed * _MICROSECONDS)
        if at >= self.maintainer.next_at:
            self.maintainer.run(at)
        self.now = self._first + int(passed)

    def resume_after(self, seconds: float) -> None:
        """Takes so much time out of the server's life, as for a machine that was suspended."""
        self._began += seconds

    def _second_at(self, microseconds: int) -> int:
        """The server's clock so long after its start."""
        return self._first + microseconds // _MICROSECONDS

    @property
    def uptime(self) -> int:
        return self.now - UPTIME_OFFSET

    def expiry(self, exptime: int) -> int:
        """A protocol's exptime by the server's clock: 0 is never, and a time in the past is the second 1."""
        if exptime == 0:
            return 0
        if 0 < exptime <= RELATIVE_LIMIT_S:
            return self.now + exptime
        return max(1, exptime - self.epoch) if exptime > 0 else 1

    def seconds_left(self, item: Item) -> int:
        """The remaining lifetime as meta's `t` flag shows it: -1 is forever. It has 32 bits, and no sign."""
        return (item.expires_at - self.now) % 2**32 if item.expires_at else -1

    # ---- finding ----

    def find(self, key: bytes) -> Item | None:
        """The live item of a key; one that has expired or was flushed is removed here."""
        item = self.items.get(key)
        if item is None:
            return None
        if self._oldest_live and self.is_flushed(item):
            self.counters.get_flushed += 1
        elif 0 < item.expires_at <= self.now:
            self.counters.get_expired += 1
        else:
            return item
        self.unlink(item)
        return None

    def live_keys(self) -> list[bytes]:
        """The keys that a get would find, without the effects of a get."""
        return [
            key
            for key, item in self.items.items()
            if not (0 < item.expires_at <= self.now or self.is_flushed(item))
        ]

    def flush(self, delay_s: int) -> None:
        """flush_all. A delay is from now; the profile says what becomes of the items of this second."""
        self.counters.cmd_flush += 1
        self._oldest_live = (self.expiry(delay_s) if delay_s > 0 else self.now) - 1
        if not self.profile.flushes_by_seconds:
            if self._oldest_live <= self.now:
                self._oldest_cas = self.next_cas()
            return
        for slab in self.slabs.classes if self.items else ():
            for segment in slab.segments:
                # Up to the first item that was last used before: find() meets the others.
                newest = takewhile(self._is_recent, reversed(segment.items.values()))
                for item in list(newest):
                    self.unlink(item)

    def _is_recent(self, item: Item) -> bool:
        return item.time >= self._oldest_live

    # ---- storing ----

    def next_cas(self) -> int:
        self._last_cas += 1
        return self._last_cas

    def cas_of_attempt(self) -> int | None:
        """The number of a store that may fail; None: it is drawn only when it succeeds."""
        return self.next_cas() if self.profile.has_explicit_cas else None

    def new_item(self, key: bytes, value: bytes, flags: int, expires_at: int) -> Item:
        """Memory for an item, which nobody can find yet. Raises TooLarge or OutOfMemory."""
        size = item_size(key, flags, len(value))
        slab = self.slabs.class_of(size)
        if slab is None:
            raise TooLarge
        if self.is_full:
            raise OutOfMemory
        if size <= self.limits.chunk_size:
            if slab.free:
                slab.free -= 1
            else:
                self._take(slab)
            chunks: tuple[SlabClass, ...] = (slab,)
        else:
            chunks = self._take_chunks(len(key), flags, len(value) + LINE_END)
        return Item(key, value, flags, expires_at, size, slab, chunks)

    def _take(self, slab: SlabClass) -> None:
        for _ in range(_TRIES):
            if self.slabs.take(slab):
                return
            if self.pull_tail(slab, COLD, evicts=True) <= 0:
                self.pull_tail(slab, HOT)
        raise OutOfMemory

    def _take_chunks(self, key_size: int, flags: int, remaining: int) -> tuple[SlabClass, ...]:
        """A header, and chunks of the largest size with a fitting one at the end."""
        header = self.slabs.class_of(item_size(b"k" * key_size, flags, CHUNK - LINE_END))
        assert header is not None
        self._take(header)
        taken = [header]
        try:
            while remaining > 0:
                slab, room = self._take_chunk(remaining)
                taken.append(slab)
                remaining -= room
        except OutOfMemory:
            for slab in taken:
                slab.free += 1
            raise OutOfMemory(is_while_reading=True) from None
        return tuple(taken)

    def _take_chunk(self, remaining: int) -> tuple[SlabClass, int]:
        """A chunk for so many bytes or a part of them: its class, and its room in bytes."""
        largest = self.limits.chunk_size
        size = min(remaining + CHUNK, largest)
        slab = self.slabs.class_of(size)
        assert slab is not None
        try:
            self._take(slab)
        except OutOfMemory:
            if size == largest:
                raise
            slab, size = self.slabs.classes[-1], largest
            self._take(slab)
        return slab, size - CHUNK

    def link(self, item: Item, cas: int | None = None) -> Item:
        """Puts an item in its key's place, with this CAS number or the next one."""
        old = self.items.get(item.key)
        if old is not None:
            self.unlink(old)
        item.time = self.now
        item.cas = self.next_cas() if cas is None else cas
        self.items[item.key] = item
        slab = item.slab
        if not slab.segments[COLD].items:
            self.maintainer.watch(slab)
        slab.segments[item.segment].add(item)
        self.counters.total_items += 1
        return item

    def forget(self, key: bytes) -> None:
        """What memcached does to a key whose new value it could not take."""
        item = self.find(key)
        if item is not None:
            self.unlink(item)

    def clear(self) -> None:
        """Removes every item, at once."""
        for item in list(self.items.values()):
            self.unlink(item)

    def change_number(self, item: Item, text: bytes) -> None:
        """incr and decr: in the item's place if the number fits. Raises OutOfMemory.

        memcached goes on with `item`, which is out of reach if another has taken its place.
        """
        is_queued = item.active and item.segment == COLD
        if len(text) <= len(item.value) and not is_queued:
            item.value = text.ljust(len(item.value))
            item.cas = self.next_cas()
            self.refresh(item)
        else:
            item.cas = self.link(self.new_item(item.key, text, item.flags, item.expires_at)).cas


def counted(value: bytes, delta: int, *, down: bool) -> bytes | None:
    """The value after `incr` or `decr`, or None if it is not a number. Up wraps at 2**64, down stops at 0.

    A number ends at a blank or a zero byte, whatever follows: memcached reads it with strtoull.
    """
    match = _NUMBER.match(value)
    if match is None or (number := int(match[1])) >= 2**64:
        return None
    return b"%d" % (max(0, number - delta) if down else (number + delta) % 2**64)
