"""What the proxy answers to `stats`: rows as memcached has them where they mean the same, and its own."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable, Mapping

from .. import __version__
from ..policy import Condition, Outcome
from .metrics import Observed, rows
from .routing import Routing

__all__ = ("stats_reply",)

UNKNOWN = b"CLIENT_ERROR mcroute knows stats, stats servers, stats results and stats mcroute\r\n"
_GETS = ("get", "gets", "gat", "gats", "mg")
_COUNTED = {
    "get": _GETS,
    "set": ("set", "add", "replace", "append", "prepend", "cas", "ms"),
    "flush": ("flush_all",),
    "touch": ("touch", "gat", "gats"),
    "meta": ("mg", "ms", "md", "ma", "mn", "me"),
}
_HIT_OR_MISSED = {
    "get": _GETS,
    "delete": ("delete", "md"),
    "incr": ("incr", "ma"),
    "decr": ("decr",),
    "touch": ("touch", "gat", "gats"),
    "cas": ("cas",),
}
_COUNTERS = (
    "bytes_read",
    "bytes_written",
    "requests",
    "replies",
    "refused",
    "timeouts",
    "failovers",
    "ejections",
    "desyncs",
)
_SERVER_COUNTERS = ("requests", "failed", "timeouts", "late", "retries_refused", "missed_writes")
_FOUND = (Outcome.HIT, Outcome.STORED, Outcome.DELETED, Outcome.TOUCHED, Outcome.NUMBER)

NEVER_RESET = b"CLIENT_ERROR mcroute never resets its counters\r\n"


def stats_reply(line: bytes, routing: Routing, about: Mapping[str, object], observed: Observed) -> bytes:
    """The reply to a stats command, whose line comes without its end; `about` are rows about the process."""
    arguments = line.split()[1:]
    if not arguments:
        snapshot = routing.engine.snapshot()
        counters = {name: snapshot.counters[name] for name in _COUNTERS}
        return _block(
            {
                **_process(),
                **about,
                **_clients(snapshot.counters),
                **_commands(snapshot.results),
                **counters,
                **_service(routing),
            }
        )
    if arguments == [b"servers"]:
        return _block(_servers(routing))
    if arguments == [b"results"]:
        results = routing.engine.snapshot().results
        return _block({f"{command}:{outcome.name.lower()}": n for (command, outcome), n in results.items()})
    if arguments == [b"mcroute"]:
        return _block(dict(rows(observed.observe())))
    return NEVER_RESET if arguments == [b"reset"] else UNKNOWN


def _process() -> dict[str, object]:
    cpu = os.times()
    return {
        "pid": os.getpid(),
        "time": int(time.time()),
        "version": f"mcroute {__version__}",
        "pointer_size": 8 * struct.calcsize("P"),
        "rusage_user": f"{cpu.user:.6f}",
        "rusage_system": f"{cpu.system:.6f}",
    }


def _clients(counters: Mapping[str, int]) -> dict[str, int]:
    ever = counters["sessions_opened"]
    return {"curr_connections": ever - counters["sessions_closed"], "total_connections": ever}


def _commands(results: Mapping[tuple[str, Outcome], int]) -> dict[str, int]:
    """memcached's rows, which put several commands together."""

    def count(commands: Iterable[str], *outcomes: Outcome) -> int:
        wanted = outcomes or tuple(Outcome)
        return sum(results.get((command, outcome), 0) for command in commands for outcome in wanted)

    rows = {f"cmd_{name}": count(commands) for name, commands in _COUNTED.items()}
    for name, commands in _HIT_OR_MISSED.items():
        rows[f"{name}_hits"] = count(commands, *_FOUND)
        rows[f"{name}_misses"] = count(commands, Outcome.MISS, Outcome.NOT_FOUND)
    rows["cas_badval"] = count(("cas",), Outcome.EXISTS)
    return rows


def _service(routing: Routing) -> dict[str, object]:
    supervisor, now = routing.supervision.supervisor, routing.loop.time()
    conditions = [supervisor.condition(number, now) for number in routing.engine.server_ids().values()]
    up = conditions.count(Condition.UP) + conditions.count(Condition.SLOW)
    return {"servers": len(conditions), "servers_up": up}


def _servers(routing: Routing) -> dict[str, object]:
    rows: dict[str, object] = {}
    snapshot = routing.engine.snapshot()
    reports = routing.look()
    for name, number in routing.engine.server_ids().items():
        links, report = routing.links[number], reports[number]
        about = {
            "address": links.server.path or f"{links.server.host}:{links.server.port}",
            "version": report.version or "unknown",
            "state": routing.supervision.supervisor.condition(number, routing.loop.time()).value,
            "connected": report.connected,
            "unanswered": report.unanswered,
            **{what: snapshot.servers[name].counters[what] for what in _SERVER_COUNTERS},
        }
        rows.update((f"{name}:{what}", value) for what, value in about.items())
    return rows


def _block(rows: Mapping[str, object]) -> bytes:
    return "".join([*(f"STAT {name} {value}\r\n" for name, value in rows.items()), "END\r\n"]).encode()
