"""How a server that came back empty gets its keys again from its twins: which ones, and how fast.

A *twin* is another server of its pool that holds copies of the same keys. A dump of a twin's keys may be
larger than the memory of a proxy, so it is read several times: first the keys that were used last are kept,
at most `keys_max` of them, then in turn the keys of each slice by a hash.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Set
from enum import Enum

from .dumps import DumpedKey, hash_of, meta_key, mg_key

__all__ = ("ColdServers", "Dumps", "Pace", "Selection", "Stop")


class Stop(Enum):
    """Why a server is not filled any further; the text completes a line of the log."""

    EVICTS = "it evicts items"
    RESTARTED = "it was restarted"
    HANGING = "a thread of the proxy does not respond"


class ColdServers:
    """The servers that came back empty and are not warmed yet, by id: how often each became empty."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._times)

    def __iter__(self) -> Iterator[int]:
        return iter(self._times)

    def serial(self, server: int) -> int:
        """Another number each time that the server became empty; 0 if it is warm."""
        return self._times.get(server, 0)

    def emptied(self, server: int) -> None:
        """The server has lost all items."""
        self._count += 1
        self._times[server] = self._count

    def warmed(self, server: int) -> None:
        """The server has its items again, or nothing more can be done for it."""
        self._times.pop(server, None)

    def retain(self, servers: Set[int]) -> None:
        """The other ids belong to no server any more, or to another one."""
        for server in self._times.keys() - servers:
            del self._times[server]


class Pace:
    """Spreads work evenly over time: so many units in a second."""

    def __init__(self, per_s: float) -> None:
        self._unit_s = 1.0 / per_s
        self._due_at = -math.inf

    def delay(self, now: float, count: int = 1) -> float:
        """Takes so many units. Returns the time to wait before the work begins."""
        begins_at = max(now, self._due_at)
        self._due_at = begins_at + count * self._unit_s
        return begins_at - now


class Selection:
    """The keys that one reading of a dump keeps: of a slice by hash, those that were used last."""

    def __init__(self, keys_max: int, slice_: int = 0, slices: int = 1) -> None:
        self._keys_max = keys_max
        self._slice = slice_
        self._slices = slices
        self._kept: list[tuple[int, bytes, bool]] = []  # a heap: the key to be left out next comes first
        self.left_out: int = 0

    def again(self) -> Selection:
        """The selection for another reading of the same slice."""
        return Selection(self._keys_max, self._slice, self._slices)

    def split(self, parts: int) -> list[Selection]:
        """The selections for readings of so many parts of this slice."""
        slices = self._slices * parts
        return [Selection(self._keys_max, self._slice + i * self._slices, slices) for i in range(parts)]

    def __len__(self) -> int:
        return len(self._kept)

    def wants(self, line: bytes) -> bool:
        """Whether the key of this line of a dump is in the slice."""
        return self._slices == 1 or hash_of(line) % self._slices == self._slice

    def offer(self, key: DumpedKey) -> None:
        """Keeps the key, unless there is no room and all kept ones were used later."""
        entry = (key.used_at, key.key, key.is_base64)
        if len(self._kept) < self._keys_max:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)
            self.left_out += 1

    def take(self) -> list[DumpedKey]:
        """Returns the kept keys, those used last first, and keeps none."""
        kept, self._kept = sorted(self._kept, reverse=True), []
        return [DumpedKey(key, is_base64, used_at) for used_at, key, is_base64 in kept]


class Dumps:
    """The readings of one twin's dumps, each with its selection, until no key was left out."""

    def __init__(self, keys_max: int) -> None:
        self._keys_max = keys_max
        # memcached 1.6.28 and later tells which keys clients spell in base64.
        self._kinds = [(b"mgdump hash", mg_key), (b"metadump hash", meta_key)]
        self._ahead = [Selection(keys_max)]

    @property
    def is_over(self) -> bool:
        return not self._kinds

    @property
    def name(self) -> bytes:
        """The dump to read next, as in `Control.dump`."""
        return self._kinds[-1][0]

    @property
    def is_optional(self) -> bool:
        """Whether a server may lack this dump, because it is older."""
        return len(self._kinds) == 1

    @property
    def key_of(self) -> Callable[[bytes], DumpedKey | None]:
        """Returns the key of one of its lines."""
        return self._kinds[-1][1]

    def begin(self) -> Selection:
        """The selection of the next reading, for as often as it has to begin anew."""
        self._ahead[-1] = self._ahead[-1].again()
        return self._ahead[-1]

    def finished(self) -> None:
        """The selection of this reading is copied."""
        selection = self._ahead.pop()
        if selection.left_out:
            # With room to spare: slices are not of one size, and clients store new keys meanwhile.
            parts = 2 + 5 * (self._keys_max + selection.left_out) // (4 * self._keys_max)
            self._ahead += selection.split(parts)
        if not self._ahead:
            self.skip()

    def skip(self) -> None:
        """Goes on with the next kind of dump."""
        self._kinds.pop()
        self._ahead = [Selection(self._keys_max)]
