"""Versions of memcached: the differences between releases that the model of a server follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ("NEWEST", "Limits", "Profile")

_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)")
NEWEST = "1.6.45"
_OLDEST = (1, 6, 18)
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Profile:
    """One release of memcached, from 1.6.18 on; each property says since when."""

    version: str
    # 1.6.19
    has_mgdump: bool
    # 1.6.20: `ms` with N appends to a missing key, and its flag s shows the size.
    appends_to_nothing: bool
    # 1.6.22
    shows_client_flags_size: bool
    # 1.6.24
    dumps_show_flags: bool
    # 1.6.25: flush_all compares whole seconds; before, it compares CAS numbers.
    flushes_by_seconds: bool
    # 1.6.27: the flags E and x. A CAS number is drawn for each store, also for one that fails.
    has_explicit_cas: bool
    # 1.6.39
    dumps_end_lines_with_blank: bool
    # 1.6.40: `mg` with C leaves out a value with that CAS number.
    compares_cas_of_reads: bool
    # 1.6.40: `ma` with q does not answer either when it creates the item.
    is_quiet_about_new_counters: bool
    # 1.6.43
    dumps_begin_with_ok: bool

    @classmethod
    @lru_cache
    def of(cls, version: str = NEWEST) -> Profile:
        """Raises ValueError for anything but a release from 1.6.18 on, such as "1.6.38"."""
        match = _RELEASE.fullmatch(version)
        if match is None or (release := tuple(map(int, match.groups()))) < _OLDEST:
            raise ValueError(f"no release of memcached from 1.6.18 on: {version!r}")
        return cls(
            version,
            has_mgdump=release >= (1, 6, 19),
            appends_to_nothing=release >= (1, 6, 20),
            shows_client_flags_size=release >= (1, 6, 22),
            dumps_show_flags=release >= (1, 6, 24),
            flushes_by_seconds=release >= (1, 6, 25),
            has_explicit_cas=release >= (1, 6, 27),
            dumps_end_lines_with_blank=release >= (1, 6, 39),
            compares_cas_of_reads=release >= (1, 6, 40),
            is_quiet_about_new_counters=release >= (1, 6, 40),
            dumps_begin_with_ok=release >= (1, 6, 43),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """The options of a memcached that bound it: -m, -I, -o slab_chunk_max, -M and -c, and -e; sizes in bytes.

    Raises ValueError where memcached refuses to start.
    """

    memory: int = 64 * MIB
    item_size: int = MIB
    chunk_size: int = MIB // 2
    evicts: bool = True  # False: -M
    connections: int = 1024
    memory_file: str = ""  # -e

    def __post_init__(self) -> None:
        if not 1024 <= self.item_size <= self.memory // 2:
            raise ValueError("an item has at least 1024 bytes, and at most half of the memory")
        if self.item_size % self.chunk_size or MIB % self.chunk_size:
            raise ValueError("the largest item and a page of 1 MiB must be multiples of a chunk")
