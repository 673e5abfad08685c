"""Ids of servers: the same in every engine of one proxy, and over reloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .._hashing import murmur3_32

if TYPE_CHECKING:
    from ..policy.nodes import Plan
    from ..policy.server_options import ServerOptions

__all__ = ("NO_RENAMES", "AdmittedServer", "Identity", "ServerIds")

TAGS_KEPT = 4096  # names of servers, also of departed ones
TAG_MASK = 0xFFFF

Address = tuple[str, int] | str
Identity = tuple[str, Address]
NO_RENAMES: Mapping[Identity, Identity] = MappingProxyType({})


class AdmittedServer(NamedTuple):
    """A server of a plan, as engines know it."""

    name: str
    id: int
    is_new: bool  # the server has just got its id
    cas_tag: int  # of its CAS tokens
    options: ServerOptions


class ServerIds:
    """Gives ids, from 0 on, to servers by name and address, and keeps them over plans.

    Engines that are to agree on the ids share one of these, and install every plan that it has admitted.
    """

    def __init__(self) -> None:
        self._ids: dict[Identity, int] = {}
        self._tags: dict[str, int] = {}

    def admit(
        self, plan: Plan, is_free: Callable[[int], bool], renamed: Mapping[Identity, Identity] = NO_RENAMES
    ) -> list[AdmittedServer]:
        """The servers of the plan with their ids. A new server takes the id of a departed server if `is_free`
        says that nothing refers to it, else the next id. `renamed` maps a new name and address to the earlier
        ones of the same server, which keeps its id."""
        self._rename(renamed)
        wanted = {(server.name, server.address) for server in plan.servers}
        tags = self._tags_of([server.name for server in plan.servers])
        admitted = []
        for server in plan.servers:
            identity = (server.name, server.address)
            is_new = identity not in self._ids
            if is_new:
                self._ids[identity] = self._free_id(wanted, is_free)
            options = plan.server_options[server.name]
            admitted.append(
                AdmittedServer(server.name, self._ids[identity], is_new, tags[server.name], options)
            )
        return admitted

    def _rename(self, renamed: Mapping[Identity, Identity]) -> None:
        known = {later: earlier for later, earlier in renamed.items() if earlier in self._ids}
        ids = {later: self._ids.pop(earlier) for later, earlier in known.items()}
        for later, server_id in ids.items():
            if later in self._ids:
                # This id stays in use until another server gets it.
                self._ids["", f"{later} before {server_id}"] = self._ids[later]
            self._ids[later] = server_id

    def _free_id(self, wanted: set[Identity], is_free: Callable[[int], bool]) -> int:
        for identity, server_id in self._ids.items():
            if identity not in wanted and is_free(server_id):
                del self._ids[identity]
                return server_id
        # Ids are reused, never removed: all ids below the count are in use.
        return len(self._ids)

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
