"""Memory in slab classes, as memcached divides it: pages of 1 MiB, each in chunks of one size.

A store fails, or evicts, when its class has no free chunk and there is no page left; so the same requests
fail here as in a real server with the same limits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field

from .profiles import MIB, Limits

# In bytes, on 64 bits: the header of an item, its CAS number, its client flags, the header of a chunk.
ITEM, CAS, CLIENT_FLAGS, CHUNK = 48, 8, 4, 48
LINE_END = 2
_SMALLEST = ITEM + 48  # -n
_FACTOR = 1.25  # -f
_ALIGNMENT = 8

HOT, WARM, COLD = range(3)


@dataclass(eq=False, slots=True)
class Item:
    """A value with what memcached keeps about it. Times are whole seconds of the server's clock."""

    key: bytes
    value: bytes
    flags: int
    expires_at: int  # 0: never
    size: int  # bytes, with the header
    slab: SlabClass  # of its LRU lists
    chunks: tuple[SlabClass, ...]
    segment: int = HOT
    time: int = 0
    cas: int = 0
    stale: bool = False
    won: bool = False  # a client has been told to recache it
    fetched: bool = False
    active: bool = False  # fetched again since it was last moved
    is_binary: bool = False


class Segment:
    """One LRU list of a class: items by key, the coldest first."""

    __slots__ = ("items", "size")

    def __init__(self) -> None:
        self.items: OrderedDict[bytes, Item] = OrderedDict()
        self.size: int = 0  # bytes

    def add(self, item: Item) -> None:
        self.items[item.key] = item
        self.size += item.size

    def remove(self, item: Item) -> None:
        del self.items[item.key]
        self.size -= item.size


@dataclass(eq=False, slots=True)
class SlabClass:
    number: int
    chunk_size: int
    per_page: int
    pages: int = 0
    free: int = 0
    segments: tuple[Segment, Segment, Segment] = field(
        default_factory=lambda: (Segment(), Segment(), Segment())
    )


def item_size(key: bytes, flags: int, value_size: int) -> int:
    """What memcached needs for an item, in bytes."""
    return ITEM + len(key) + 1 + (CLIENT_FLAGS if flags else 0) + value_size + LINE_END + CAS


class Slabs:
    """The classes, and the pages that they have taken."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.taken: int = 0  # bytes, in pages
        self.classes: list[SlabClass] = []
        size = _SMALLEST
        while size < limits.chunk_size / _FACTOR:
            size += -size % _ALIGNMENT
            self._add(size)
            size = int(size * _FACTOR)
        self._add(limits.chunk_size)
        self._sizes: list[int] = [slab.chunk_size for slab in self.classes]

    def _add(self, size: int) -> None:
        self.classes.append(SlabClass(len(self.classes) + 1, size, MIB // size))

    def class_of(self, size: int) -> SlabClass | None:
        """The class for an item of this size; the last one for what needs several chunks; None: too large."""
        if size > self.limits.item_size:
            return None
        return self.classes[min(bisect_left(self._sizes, size), len(self.classes) - 1)]

    def take(self, slab: SlabClass) -> bool:
        """Takes a free chunk, from another page if there is one. A class without pages always gets one."""
        if slab.free == 0:
            if slab.pages and self.taken + MIB > self.limits.memory:
                return False
            self.taken += MIB
            slab.pages += 1
            slab.free = slab.per_page
        slab.free -= 1
        return True
