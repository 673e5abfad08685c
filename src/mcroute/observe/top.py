"""The reply to `stats top`: what `mcroute top` shows of pools, servers and clients, in one reply.

Each row has a JSON object. Counters only grow: the reader takes differences, also of the buckets of
durations, whose keys are indices of BOUNDS. One row a server keeps the reply of a thousand servers small.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .._engine.snapshots import Snapshot
from ..policy import Outcome
from ..policy.nodes import COMMAND_GROUPS

if TYPE_CHECKING:
    from ..runtime.routing import Routing

__all__ = ("FORMAT", "top_reply")

# Another one for each change that an earlier `mcroute top` would not understand.
FORMAT = 1

_ERRORS = frozenset(outcome for outcome in Outcome if outcome >= Outcome.REFUSED_BY_SERVER)
# A server that is out of service is not asked: this is no error of its own.
_ERRORS_OF_SERVERS = _ERRORS - {Outcome.EJECTED}


def top_reply(routing: Routing, uptime_s: float) -> bytes:
    """`uptime_s` is the age of the proxy.

    `since_s` of a server is the time since it went out of service, or came back, or joined the proxy at its
    start; its stages do not count.
    """
    snapshot = routing.engine.snapshot()
    rows = [
        ("proxy", _proxy(snapshot, uptime_s)),
        *_commands(snapshot),
        *_pools(routing),
        *_servers(routing, snapshot, uptime_s),
    ]
    lines = (f"STAT {name} {json.dumps(row, separators=(',', ':'))}\r\n" for name, row in rows)
    return "".join([*lines, "END\r\n"]).encode()


Row = tuple[str, Mapping[str, object]]


def _proxy(snapshot: Snapshot, uptime_s: float) -> dict[str, object]:
    counters = snapshot.counters
    ever = counters["sessions_opened"]
    return {
        "format": FORMAT,
        "uptime_s": round(uptime_s, 3),
        "clients": ever - counters["sessions_closed"],
        "clients_ever": ever,
        "in_flight": counters["requests"] - counters["replies"],
        "bytes_read": counters["bytes_read"],
        "bytes_written": counters["bytes_written"],
    }


def _outcomes(counts: Mapping[Outcome, int], errors: frozenset[Outcome]) -> dict[str, int]:
    """Hits and misses are those of reads."""
    return {
        "hits": counts.get(Outcome.HIT, 0),
        "misses": counts.get(Outcome.MISS, 0),
        "errors": sum(counts.get(outcome, 0) for outcome in errors),
    }


def _commands(snapshot: Snapshot) -> Iterator[Row]:
    """What clients were answered, by command; without `stats` and the like, which no server answers."""
    by_command: dict[str, dict[Outcome, int]] = {}
    for (command, outcome), count in snapshot.results.items():
        if command in COMMAND_GROUPS:
            by_command.setdefault(command, {})[outcome] = count
    for command, counts in by_command.items():
        durations = snapshot.durations.get(command)
        yield (
            f"command:{command}",
            {
                "requests": sum(counts.values()),
                **_outcomes(counts, _ERRORS),
                "buckets": dict(durations.counts) if durations else {},
            },
        )


def _pools(routing: Routing) -> Iterator[Row]:
    reports = routing.supervision.supervisor.pools(routing.clock.now())
    for index, (name, report) in enumerate(reports.items()):
        # By number: the name of a pool may have blanks.
        row = {"name": name, "up": report.up, "servers": report.size, "is_panic": report.is_panic}
        yield f"pool:{index}", row


def _servers(routing: Routing, snapshot: Snapshot, uptime_s: float) -> Iterator[Row]:
    supervisor, now = routing.supervision.supervisor, routing.clock.now()
    links, reasons = routing.look(), supervisor.reasons()
    for name, number in routing.engine.server_ids().items():
        server, link, reason = snapshot.servers[name], links[number], reasons.get(name)
        changed_at = supervisor.changed_at(number)
        yield (
            f"server:{name}",
            {
                "state": supervisor.condition(number, now).value,
                "since_s": round(uptime_s if changed_at is None else now - changed_at, 3),
                "cause": reason.cause.value if reason else None,
                "reason": str(reason) if reason else None,
                "pools": supervisor.pools_of(number),
                "connected": link.connected,
                "unanswered": link.unanswered,
                "requests": server.counters["requests"],
                **_outcomes(server.outcomes, _ERRORS_OF_SERVERS),
                "buckets": dict(server.latencies.counts),
            },
        )
