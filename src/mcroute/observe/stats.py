"""The replies to `stats`: memcached's rows with memcached's meanings, and mcroute's own rows."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from .._engine.snapshots import Snapshot
from .._protocol.commands import MEMCACHED_VERSION
from .._version import __version__
from ..policy import Condition, Outcome
from ..runtime.routing import Routing
from .metrics import rows
from .observation import Observed

__all__ = ("stats_reply",)

# memcached's rows, and the commands that each sums up. "mg T" and the like are counted apart from mg.
_COUNTED = {
    "get": ("get", "gets", "mg"),
    "set": ("set", "add", "replace", "append", "prepend", "cas", "ms", "ms C"),
    "flush": ("flush_all",),
    "touch": ("touch", "gat", "gats", "mg T"),
    "meta": ("me",),
}
_HIT_OR_MISSED = {
    "get": ("get", "gets", "mg"),
    "delete": ("delete", "md"),
    "incr": ("incr", "ma"),
    "decr": ("decr", "ma MD"),
    "touch": ("touch", "gat", "gats", "mg T"),
    "cas": ("cas", "ms C"),
}
_COUNTERS = (
    "bytes_read",
    "bytes_written",
    "requests",
    "replies",
    "refused",
    "timeouts",
    "failovers",
    "hedges",
    "hedges_won",
    "hedges_refused",
    "ejections",
    "desyncs",
)
_SERVER_COUNTERS = (
    "requests",
    "failed",
    "timeouts",
    "late",
    "retries_refused",
    "hedges",
    "missed_writes",
    "copies",
    "copies_waiting",
)
_REFILLS = ("refilled", "refills_dropped", "refills_undone")
_FOUND = (Outcome.HIT, Outcome.STORED, Outcome.DELETED, Outcome.TOUCHED, Outcome.NUMBER)

# The reply to an unknown subject: clients wait for END. Those of ONE_LINE have one line, as in memcached.
NO_ROWS = b"END\r\n"
ONE_LINE: dict[tuple[bytes, ...], bytes] = {
    (b"reset",): b"CLIENT_ERROR mcroute never resets its counters\r\n",
    (b"detail", b"on"): b"CLIENT_ERROR not offered through mcroute\r\n",
    (b"detail", b"off"): b"CLIENT_ERROR not offered through mcroute\r\n",
}


def stats_reply(
    arguments: Sequence[bytes], routing: Routing, about: Mapping[str, object], observed: Observed
) -> bytes:
    """The reply to a stats command with these arguments; `about` holds rows about the process."""
    if not arguments:
        snapshot = routing.engine.snapshot()
        counters = {name: snapshot.counters[name] for name in _COUNTERS}
        return _block(
            {
                **_process(routing.clock.wall()),
                **about,
                **_clients(snapshot.counters),
                **_commands(snapshot),
                **counters,
                **_service(routing),
            }
        )
    if arguments == [b"servers"]:
        return _block(_servers(routing, about))
    if arguments == [b"results"]:
        results = routing.engine.snapshot().results
        return _block({f"{command}:{outcome.name.lower()}": n for (command, outcome), n in results.items()})
    if arguments == [b"mcroute"]:
        return _block(dict(rows(observed.observe())))
    return ONE_LINE.get(tuple(arguments), NO_ROWS)


def _process(now: float) -> dict[str, object]:
    cpu = os.times()
    return {
        "pid": os.getpid(),
        "time": int(now),
        "version": MEMCACHED_VERSION,
        "mcroute": __version__,
        "pointer_size": 8 * struct.calcsize("P"),
        "rusage_user": f"{cpu.user:.6f}",
        "rusage_system": f"{cpu.system:.6f}",
    }


def _clients(counters: Mapping[str, int]) -> dict[str, int]:
    ever = counters["sessions_opened"]
    return {"curr_connections": ever - counters["sessions_closed"], "total_connections": ever}


def _commands(snapshot: Snapshot) -> dict[str, int]:
    """memcached's rows, each of which sums up several commands."""
    results = Counter(snapshot.results)
    for (variant, outcome), number in snapshot.variants.items():
        results[variant, outcome] += number
        results[variant.split()[0], outcome] -= number

    def count(commands: Iterable[str], *outcomes: Outcome) -> int:
        wanted = outcomes or tuple(Outcome)
        return sum(results[command, outcome] for command in commands for outcome in wanted)

    rows = {f"cmd_{name}": count(commands) for name, commands in _COUNTED.items()}
    for name, commands in _HIT_OR_MISSED.items():
        rows[f"{name}_hits"] = count(commands, *_FOUND)
        rows[f"{name}_misses"] = count(commands, Outcome.MISS, Outcome.NOT_FOUND)
    rows["cas_badval"] = count(("cas", "ms C"), Outcome.EXISTS)
    # As in memcached, an mg with T that misses is a get, and an md of another CAS number a miss. An md with I
    # that makes an item stale is neither hit nor miss.
    for name in ("cmd_get", "get_misses"):
        rows[name] += count(("mg T",), Outcome.MISS)
    for name in ("cmd_touch", "touch_misses"):
        rows[name] -= count(("mg T",), Outcome.MISS)
    rows["delete_misses"] += count(("md I",), Outcome.NOT_FOUND) + count(("md", "md I"), Outcome.EXISTS)
    return rows


def _service(routing: Routing) -> dict[str, object]:
    supervisor, now = routing.supervision.supervisor, routing.clock.now()
    conditions = [supervisor.condition(number, now) for number in routing.engine.server_ids().values()]
    up = conditions.count(Condition.UP) + conditions.count(Condition.SLOW)
    return {"servers": len(conditions), "servers_up": up}


def _servers(routing: Routing, process: Mapping[str, object]) -> dict[str, object]:
    rows: dict[str, object] = {}
    snapshot = routing.engine.snapshot()
    reports = routing.look()
    supervisor, now = routing.supervision.supervisor, routing.clock.now()
    reasons, journals = supervisor.reasons(), routing.supervision.journals()
    standins = routing.supervision.standins()
    for name, number in routing.engine.server_ids().items():
        links, report = routing.links[number], reports[number]
        warmth, changed_at = supervisor.warmth(number), supervisor.changed_at(number)
        about = {
            "address": links.server.where,
            "version": report.version or "unknown",
            "state": supervisor.condition(number, now).value,
            "last_change_s": process["uptime"] if changed_at is None else int(now - changed_at),
            "fault": fault.why if (fault := routing.supervision.faults.get(number)) else "none",
            "cause": reasons[name].cause.value if name in reasons else "none",
            "reason": str(reasons[name]) if name in reasons else "none",
            "connected": report.connected,
            "unanswered": report.unanswered,
            **{what: snapshot.servers[name].counters[what] for what in _SERVER_COUNTERS},
            "hits": snapshot.servers[name].outcomes.get(Outcome.HIT, 0),
            "misses": snapshot.servers[name].outcomes.get(Outcome.MISS, 0),
            "journal_keys": len(journals[name]),
            "journal_overflows": journals[name].overflows,
            "standin_keys": standins.get(name, (0, 0))[0],
            "standin_deleted_keys": standins.get(name, (0, 0))[1],
            "replays": supervisor.tally(number).replays,
            "flushes": supervisor.tally(number).flushes,
            **{what: snapshot.servers[name].counters[what] for what in _REFILLS},
            "warming": "yes" if warmth.is_warming else "no",
            "warming_keys_ahead": warmth.ahead,
            "warming_keys": warmth.begun,
            "warmings": warmth.times,
        }
        rows.update((f"{name}:{what}", value) for what, value in about.items())
    return rows


def _block(rows: Mapping[str, object]) -> bytes:
    return "".join([*(f"STAT {name} {value}\r\n" for name, value in rows.items()), "END\r\n"]).encode()
