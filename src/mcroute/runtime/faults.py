"""Keeps why servers cannot be used, for clients' errors and for `stats`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from .supervised import Supervised

__all__ = ("Fault", "Faults")


class Fault(NamedTuple):
    """Why a server cannot be used: a text, and the exception of the system, if there is one."""

    why: str
    error: Exception | None = None


class Faults:
    """The last fault of each server, by id, until the server serves without a fault."""

    def __init__(self, supervised: Supervised) -> None:
        self._supervised = supervised
        self._faults: dict[int, Fault] = {}
        for number in supervised.servers:
            self._describe(number)

    def retain(self, joining: Collection[int], names: Mapping[int, str]) -> None:
        """Another plan: the servers of `joining` are new, and `names` are all servers' names before it."""
        servers = self._supervised.servers
        for number in [n for n in self._faults if n in joining or n not in servers]:
            del self._faults[number]
        for number, server in servers.items():
            if number in joining or names.get(number) != server.name:
                self._describe(number)

    def get(self, server: int) -> Fault | None:
        return self._faults.get(server)

    def note(self, server: int, why: str, error: Exception | None = None) -> None:
        if server not in self._supervised.servers or self._supervised.is_closed:
            return
        before = self._faults.get(server)
        self._faults[server] = Fault(why, error)
        if before is None or before.why != why:
            self._describe(server)

    def clear(self, server: int) -> None:
        """Clears the server's fault."""
        if self._faults.pop(server, None) is not None and not self._supervised.is_closed:
            self._describe(server)

    def _describe(self, server: int) -> None:
        fault = self._faults.get(server)
        name = self._supervised.name(server)
        self._supervised.engine.describe(server, name, fault.why if fault else "")
