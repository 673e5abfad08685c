"""What a running proxy says about its servers, by `stats servers` on its own port."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import McrouteError
from ..policy import Condition, Server

__all__ = ("LIVE_TIMEOUT_S", "LiveServer", "NoProxy", "ask_servers", "table")

LIVE_TIMEOUT_S = 3.0
# More than any proxy answers: names of a thousand servers, and 25 rows of each.
REPLY_MAX = 16 << 20
SERVING = (Condition.UP, Condition.SLOW, Condition.FAILING)
COLUMNS = ("server", "state", "requests", "unanswered", "timeouts", "hedges", "keys missed", "cause")


class NoProxy(McrouteError):
    """Nothing answers as a proxy at this address."""


@dataclass(frozen=True, slots=True)
class LiveServer:
    """The rows of one server."""

    name: str
    rows: Mapping[str, str]

    @property
    def is_out(self) -> bool:
        return self.rows["state"] not in [condition.value for condition in SERVING]

    @property
    def why(self) -> str:
        """Why it is out of service, with the figures; while it serves, what keeps it from answering."""
        reason = self.rows.get("reason", "none")
        return reason if reason != "none" else self.rows["fault"]

    def cells(self) -> tuple[str, ...]:
        cause = self.rows["cause"]
        named = cause if self.why == "none" else f"{cause}: {self.why}" if cause != "none" else self.why
        figures = ("requests", "unanswered", "timeouts", "hedges", "journal_keys")
        return self.name, self.rows["state"], *(self.rows.get(figure, "") for figure in figures), named


def ask_servers(address: str, timeout_s: float = LIVE_TIMEOUT_S) -> dict[str, LiveServer]:
    """The servers of the proxy that listens on `address`, by name. Raises NoProxy."""
    try:
        server = Server.parse(address, place="--at")
        return _servers(_ask(server, timeout_s), address)
    except TimeoutError:
        raise NoProxy(f"{address} has not answered `stats servers` within {timeout_s:g} s") from None
    except OSError as error:
        raise NoProxy(f"no proxy answers at {address}: {error.strerror or error}") from None


def _ask(server: Server, timeout_s: float) -> bytes:
    with contextlib.ExitStack() as stack:
        if server.path:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            connection.settimeout(timeout_s)
            connection.connect(server.path)
        else:
            # A proxy that listens on all addresses listens on the loopback address too.
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)
            connection = stack.enter_context(socket.create_connection((host, server.port), timeout=timeout_s))
        connection.sendall(b"stats servers\r\n")
        reply = b""
        until = time.monotonic() + timeout_s
        while not reply.endswith((b"END\r\n", b"ERROR\r\n")) and len(reply) < REPLY_MAX:
            if time.monotonic() > until:
                raise TimeoutError
            more = connection.recv(1 << 16)
            if not more:
                break
            reply += more
        return reply


def _servers(reply: bytes, address: str) -> dict[str, LiveServer]:
    rows: dict[str, dict[str, str]] = {}
    for line in reply.decode(errors="replace").splitlines():
        word, _, row = line.partition(" ")
        # The name may contain colons, as an address does.
        name, _, value = row.partition(" ")
        name, colon, what = name.rpartition(":")
        if word == "STAT" and colon:
            rows.setdefault(name, {})[what] = value
    servers = {name: LiveServer(name, own) for name, own in rows.items()}
    if not servers or not all(
        {"state", "fault", "cause"} <= server.rows.keys() for server in servers.values()
    ):
        raise NoProxy(f"{address} does not answer `stats servers` as mcroute does: {reply[:60]!r}")
    return servers


def table(servers: Sequence[LiveServer]) -> Iterator[str]:
    """The lines of a table of these servers."""
    rows = [COLUMNS, *(server.cells() for server in servers)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
