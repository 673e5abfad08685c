"""What a check is about: the options of the command line, and the proxies that are asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from nagiosplugin import CheckError

from ...policy import Server
from ..asking import NoProxy, ask
from ..servers import LiveServer, ask_servers

__all__ = ("Question",)


@dataclass(frozen=True, slots=True)
class Question:
    """`timeout_s` is for all answers together, from now on."""

    proxy: Server
    timeout_s: float
    servers: Sequence[str] = ()  # empty: all
    pools: Sequence[str] = ()  # empty: all
    peers: Sequence[Server] = ()
    state_file: str = ""
    reads_min: int = 0
    _asked_at: float = field(default_factory=time.monotonic)

    def rows(self, subject: str = "", proxy: Server | None = None) -> dict[str, str]:
        """The rows of `stats SUBJECT`, of `proxy` if it is not the usual one. Raises NoProxy."""
        return ask(proxy or self.proxy, subject, self._left_s())

    def live_servers(self) -> list[LiveServer]:
        """The servers that the check is about. Raises NoProxy, CheckError for names that are not there."""
        found = ask_servers(self.proxy, self._left_s())
        return [found[name] for name in chosen("server", self.servers, list(found))]

    def _left_s(self) -> float:
        left_s = self._asked_at + self.timeout_s - time.monotonic()
        if left_s <= 0:
            raise NoProxy(f"the proxies have not answered within {self.timeout_s:g} s")
        return left_s


def chosen(kind: str, wanted: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    """The wanted names, or all. Raises CheckError for one that is not known."""
    for name in wanted:
        if name not in known:
            raise CheckError(f"the proxy has no {kind} {name}; it has {', '.join(known)}")
    return wanted or known
