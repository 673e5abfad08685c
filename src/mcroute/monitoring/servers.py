"""What a running proxy says about its servers, by `stats servers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..policy import Condition, Server
from .asking import OtherService, ask

__all__ = ("LiveServer", "ask_servers")

# The states of servers that get requests.
SERVING = frozenset(state.value for state in (Condition.UP, Condition.SLOW, Condition.FAILING))


@dataclass(frozen=True, slots=True)
class LiveServer:
    """The rows of one server."""

    name: str
    rows: Mapping[str, str]

    @property
    def state(self) -> str:
        """The value of a `Condition`."""
        return self.rows["state"]

    @property
    def is_out(self) -> bool:
        """Whether it gets no requests."""
        return self.state not in SERVING

    @property
    def why(self) -> str:
        """Why it is out of service, with the figures; while it serves, what keeps it from answering."""
        reason = self.rows.get("reason", "none")
        return reason if reason != "none" else self.rows["fault"]

    def count(self, row: str) -> int:
        """The number in this row; 0 if the proxy is older than the row."""
        return int(self.rows.get(row, "0"))


def ask_servers(proxy: Server, timeout_s: float) -> dict[str, LiveServer]:
    """The servers of a running proxy, by name. Raises NoProxy."""
    rows: dict[str, dict[str, str]] = {}
    for row, value in ask(proxy, "servers", timeout_s).items():
        # The name may contain colons, as an address does.
        name, _, what = row.rpartition(":")
        rows.setdefault(name, {})[what] = value
    servers = {name: LiveServer(name, own) for name, own in rows.items()}
    if not all({"state", "fault", "cause"} <= server.rows.keys() for server in servers.values()):
        raise OtherService(f"{proxy.where} does not answer `stats servers` as mcroute does")
    return servers
