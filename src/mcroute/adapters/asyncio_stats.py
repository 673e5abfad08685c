"""What the proxy answers to `stats`: rows as memcached has them where they mean the same, and its own."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping

from .. import __version__
from ..policy import State
from .asyncio_engine import LoopEngine

__all__ = ("stats_reply",)

UNKNOWN = b"CLIENT_ERROR mcroute knows stats and stats servers\r\n"
NEVER_RESET = b"CLIENT_ERROR mcroute never resets its counters\r\n"


def stats_reply(line: bytes, routing: LoopEngine, clients: Mapping[str, object]) -> bytes:
    """The reply to a stats command, whose line comes without its end; `clients` are rows about sessions."""
    arguments = line.split()[1:]
    if not arguments:
        return _block({**_process(), **clients, **routing.engine.counters(), **_service(routing)})
    if arguments == [b"servers"]:
        return _block(_servers(routing))
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


def _service(routing: LoopEngine) -> dict[str, object]:
    supervisor = routing.supervision.supervisor
    states = [supervisor.state(number) for number in routing.engine.server_ids().values()]
    return {"servers": len(states), "servers_up": states.count(State.UP)}


def _servers(routing: LoopEngine) -> dict[str, object]:
    rows: dict[str, object] = {}
    for name, number in routing.engine.server_ids().items():
        link = routing.links[number]
        about = {
            "address": link.server.path or f"{link.server.host}:{link.server.port}",
            "state": routing.supervision.supervisor.state(number).name.lower(),
            "connected": int(link.is_connected),
            "unanswered": routing.engine.unanswered(link.number),
            **routing.engine.server_counters(number),
        }
        rows.update((f"{name}:{what}", value) for what, value in about.items())
    return rows


def _block(rows: Mapping[str, object]) -> bytes:
    return "".join([*(f"STAT {name} {value}\r\n" for name, value in rows.items()), "END\r\n"]).encode()
