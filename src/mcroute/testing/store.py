"""The items of a memcached, with flags, expiry and a CAS number; knows no protocol."""

import time
from collections.abc import Callable
from dataclasses import dataclass

# A relative expiry may be up to 30 days; anything larger is a Unix time (memcached's protocol.txt).
RELATIVE_LIMIT_S = 60 * 60 * 24 * 30
# A use updates the time only if the last update is older.
NOTED_S = 60


@dataclass(slots=True)
class Item:
    value: bytes
    flags: int
    expires_at: float | None
    cas: int
    stale: bool = False
    won: bool = False
    fetched: bool = False
    is_binary: bool = False
    accessed_at: float = 0.0


class Store:
    """Items by key. `clock` returns Unix time in seconds; tests may pass their own."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.items: dict[bytes, Item] = {}
        self.flush_at: float | None = None
        self._last_cas = 0

    def find(self, key: bytes) -> Item | None:
        """The live item of a key; an expired item is deleted here."""
        now = self.clock()
        if self.flush_at is not None and now >= self.flush_at:
            self.items.clear()
            self.flush_at = None
        item = self.items.get(key)
        if item is not None and item.expires_at is not None and now >= item.expires_at:
            del self.items[key]
            return None
        return item

    def put(self, key: bytes, value: bytes, flags: int, exptime: int, cas: int | None = None) -> Item:
        """Store a value; `cas` overrides the item's next number."""
        item = Item(value, flags, self.expiry(exptime), self.next_cas() if cas is None else cas)
        item.accessed_at = self.clock()
        self.items[key] = item
        return item

    def change(self, item: Item, value: bytes, cas: int | None = None) -> None:
        """Another value for the same item: flags and expiry stay."""
        item.value = value
        item.cas = self.next_cas() if cas is None else cas

    def extend(self, item: Item, value: bytes, *, at_the_end: bool, cas: int | None = None) -> None:
        """Append to a value or prepend; an appended item counts as new."""
        self.change(item, item.value + value if at_the_end else value + item.value, cas)
        item.stale = item.won = item.fetched = False

    def use(self, item: Item) -> None:
        """Note that a client has read or touched the item."""
        item.fetched = True
        if self.clock() - item.accessed_at >= NOTED_S:
            item.accessed_at = self.clock()

    def next_cas(self) -> int:
        self._last_cas += 1
        return self._last_cas

    def expiry(self, exptime: int) -> float | None:
        """A protocol's exptime as Unix time: 0 is never, negative is already over."""
        if exptime == 0:
            return None
        if exptime < 0:
            return self.clock() - 1
        return self.clock() + exptime if exptime <= RELATIVE_LIMIT_S else float(exptime)

    def seconds_left(self, item: Item) -> int:
        """The remaining lifetime as meta's `t` flag shows it: -1 is forever."""
        return -1 if item.expires_at is None else max(0, round(item.expires_at - self.clock()))

    def flush(self, delay_s: int) -> None:
        if delay_s > 0:
            self.flush_at = self.clock() + delay_s
        else:
            self.items.clear()


def counted(value: bytes, delta: int, *, down: bool) -> bytes | None:
    """The value after `incr` or `decr`, or None if it is not a number. Up wraps at 2**64, down stops at 0.

    A decremented number keeps its length, padded with spaces, since memcached changes it in place.
    """
    digits = value.rstrip(b" ")
    if not digits.isdigit() or int(digits) >= 2**64:
        return None
    number = max(0, int(digits) - delta) if down else (int(digits) + delta) % 2**64
    return b"%d" % number
