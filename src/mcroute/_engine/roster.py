"""Which number a server goes by, and what is asked of it: the same in every engine of one proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .._hashing import murmur3_32

if TYPE_CHECKING:
    from ..policy.nodes import Plan

__all__ = ("NO_RENAMES", "Identity", "Roster", "ServerTerms")

TAGS_KEPT = 4096  # names of servers, also of those that have left
TAG_MASK = 0xFFFF

Address = tuple[str, int] | str
Identity = tuple[str, Address]
NO_RENAMES: Mapping[Identity, Identity] = MappingProxyType({})


class ServerTerms(NamedTuple):
    """A server of a plan: its number, the tag of its CAS tokens, and its timeouts (seconds) and limits."""

    name: str
    id: int
    is_new: bool  # the number is another server's, or nobody's, until now
    cas_tag: int
    trip_after: int
    reply_timeout_s: float
    value_max: int  # bytes; 0: as large as the server stores


class Roster:
    """Gives numbers from 0 to servers, told apart by name and address, and remembers them over plans.

    Engines that are to agree on the numbers share one roster, and install every plan that it was asked about.
    """

    def __init__(self) -> None:
        self._numbers: dict[Identity, int] = {}
        self._tags: dict[str, int] = {}

    def admit(
        self, plan: Plan, is_free: Callable[[int], bool], renamed: Mapping[Identity, Identity] = NO_RENAMES
    ) -> list[ServerTerms]:
        """Terms for each server of the plan. A newcomer takes the number of a server that is gone for good,
        which `is_free` says, else the next. A server that was `renamed` keeps its number: from its new name
        and address to its earlier ones."""
        self._rename(renamed)
        wanted = {(server.name, server.address) for server in plan.servers}
        tags = self._tags_of([server.name for server in plan.servers])
        limits = _limits(plan)
        terms = []
        for server in plan.servers:
            identity = (server.name, server.address)
            is_new = identity not in self._numbers
            if is_new:
                self._numbers[identity] = self._free_number(wanted, is_free)
            number = self._numbers[identity]
            terms.append(ServerTerms(server.name, number, is_new, tags[server.name], *limits[server.name]))
        return terms

    def _rename(self, renamed: Mapping[Identity, Identity]) -> None:
        known = {later: earlier for later, earlier in renamed.items() if earlier in self._numbers}
        numbers = {later: self._numbers.pop(earlier) for later, earlier in known.items()}
        for later, number in numbers.items():
            if later in self._numbers:
                # Its number stays somebody's, until it is given away.
                self._numbers["", f"{later} before {number}"] = self._numbers[later]
            self._numbers[later] = number

    def _free_number(self, wanted: set[Identity], is_free: Callable[[int], bool]) -> int:
        for identity, number in self._numbers.items():
            if identity not in wanted and is_free(number):
                del self._numbers[identity]
                return number
        # Numbers are only ever handed on, so that all up to the count are somebody's.
        return len(self._numbers)

    def _tags_of(self, names: list[str]) -> Mapping[str, int]:
        """Tags come from the servers' names, so that every proxy with these servers has the same.

        Of two names with one tag the later in the alphabet, or in time, has the next; a name keeps its tag.
        """
        if len(self._tags) > TAGS_KEPT:
            self._tags = {name: tag for name, tag in self._tags.items() if name in names}
        taken = set(self._tags.values())
        for name in sorted(names):
            if name not in self._tags:
                tag = murmur3_32(name.encode()) & TAG_MASK
                while tag in taken:
                    tag = (tag + 1) & TAG_MASK
                taken.add(tag)
                self._tags[name] = tag
        return self._tags


def _limits(plan: Plan) -> dict[str, tuple[int, float, int]]:
    """By name: failures before it trips, time for a reply, largest value. See ServerTerms."""
    limits: dict[str, tuple[int, float, int]] = {}
    for pool in plan.pools:
        own = (pool.trip_after, pool.reply_timeout_s, pool.value_max)
        for server in pool.servers:
            trip_after, timeout_s, value_max = limits.get(server.name, own)
            limits[server.name] = (min(trip_after, own[0]), min(timeout_s, own[1]), max(value_max, own[2]))
    return limits
