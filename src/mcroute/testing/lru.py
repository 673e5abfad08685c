"""The linked items of a memcached and their LRU lists: reads, flushes, evictions.

An item begins in HOT. The LRU maintainer moves it to COLD when HOT has its share of the memory, and from COLD
to WARM when it is read twice; evictions take the cold end of COLD.
"""

from __future__ import annotations

from .counters import Counters
from .profiles import Limits
from .slabs import COLD, HOT, WARM, Item, SlabClass, Slabs

__all__ = ("Lists",)

_HOT_SHARE, _WARM_SHARE = 20, 40  # percent of a class
_MOVES = 500  # of one pass over a class


class Lists:
    """Items by key, those that have expired or were flushed included until somebody meets them.

    `now` is the server's clock, in whole seconds.
    """

    def __init__(self, limits: Limits, now: int) -> None:
        self.limits = limits
        self.now = now
        self.counters: Counters = Counters()
        self.items: dict[bytes, Item] = {}
        self.slabs: Slabs = Slabs(limits)
        self.bumped: list[Item] = []  # read in COLD; the maintainer will move them
        # By the last flush: items last used up to this second, if it has come, or with a smaller CAS number.
        self._oldest_live = 0
        self._oldest_cas = 0

    def is_flushed(self, item: Item) -> bool:
        if not 0 < self._oldest_live <= self.now:
            return False
        return item.time <= self._oldest_live or 0 < item.cas < self._oldest_cas

    def unlink(self, item: Item) -> None:
        """Removes a linked item, and gives its memory back."""
        del self.items[item.key]
        item.slab.segments[item.segment].remove(item)
        self.release(item)

    @staticmethod
    def release(item: Item) -> None:
        """Gives back the memory of an item that is not linked."""
        for slab in item.chunks:
            slab.free += 1

    def use(self, item: Item) -> None:
        """Notes a read or a touch. In COLD a second one waits for the maintainer, which sets the time."""
        if item.active:
            return
        if not item.fetched:
            item.fetched = True
            return
        item.active = True
        if item.segment == COLD:
            self.bumped.append(item)
        else:
            item.time = self.now

    def refresh(self, item: Item) -> None:
        """Notes a use by a write, or a read that has waited."""
        item.time = self.now
        if item.segment == COLD and item.active:
            item.active = False
            _move(item, WARM)

    def refresh_bumped(self) -> bool:
        """Carries out the reads that wait; returns whether there were any."""
        waiting, self.bumped = self.bumped, []
        for item in waiting:
            if self.items.get(item.key) is item:
                self.refresh(item)
        return bool(waiting)

    def juggle(self, slab: SlabClass) -> int:
        """The maintainer's pass over a class; returns how many rounds of moves there were."""
        hot, warm, cold = slab.segments
        if not (hot.items or warm.items or cold.items):
            return 0
        cold_age = self.now - next(iter(cold.items.values())).time if cold.items else 0
        total = hot.size + warm.size + cold.size
        if self._is_settled(slab, total, cold_age):
            return 0
        for moves in range(_MOVES):
            has_moved = self.pull_tail(slab, HOT, total, cold_age // 5) or self.pull_tail(
                slab, WARM, total, cold_age * 2
            )
            if not self.pull_tail(slab, COLD) and not has_moved:
                return moves
        return _MOVES

    def _is_settled(self, slab: SlabClass, total: int, cold_age: int) -> bool:
        """Whether pull_tail would move nothing: most passes are over such a class."""
        now = self.now
        for number, max_age in ((HOT, cold_age // 5), (WARM, cold_age * 2), (COLD, now)):
            segment = slab.segments[number]
            if not segment.items:
                continue
            item = next(iter(segment.items.values()))
            if item.active or 0 < item.expires_at < now or now - item.time > max_age:
                return False
            if number != COLD and _is_over_its_share(slab, number, total):
                return False
            if self._oldest_live and self.is_flushed(item):
                return False
        return True

    def pull_tail(
        self, slab: SlabClass, segment: int, total: int = 0, max_age: int = 0, *, evicts: bool = False
    ) -> int:
        """Looks at the coldest items of a list: reclaims, moves or evicts. Returns how many.

        An item leaves HOT or WARM if the list has more than its share of `total` bytes, or it is older than
        `max_age` seconds.
        """
        items = slab.segments[segment].items
        count = 0
        for _ in range(5):
            if not items:
                break
            item = next(iter(items.values()))
            if 0 < item.expires_at < self.now or self.is_flushed(item):
                self.counters.reclaimed += 1
                self.counters.expired_unfetched += not item.fetched
                self.unlink(item)
                count += 1
                continue
            if segment == COLD:
                return count + self._leaves_cold(item, evicts=evicts)
            if not item.active:
                is_old = self.now - item.time > max_age or _is_over_its_share(slab, segment, total)
                if is_old:
                    _move(item, COLD)
                return count + is_old
            item.active = False
            _move(item, WARM)
            count += 1
            if segment == HOT:
                break
        return count

    def _leaves_cold(self, item: Item, *, evicts: bool) -> bool:
        if evicts:
            if self.limits.evicts:
                self.counters.evictions += 1
                self.counters.evicted_unfetched += not item.fetched
                self.unlink(item)
            return self.limits.evicts
        is_active = item.active
        if is_active:
            item.active = False
            _move(item, WARM)
        return is_active


def _move(item: Item, segment: int) -> None:
    """To the warm end of a list of its class."""
    segments = item.slab.segments
    segments[item.segment].remove(item)
    item.segment = segment
    segments[segment].add(item)


def _is_over_its_share(slab: SlabClass, segment: int, total: int) -> bool:
    share = total * _HOT_SHARE // 100 if segment == HOT else 0
    return slab.segments[segment].size > (share or total * _WARM_SHARE // 100)
