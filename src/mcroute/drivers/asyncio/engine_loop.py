"""The engine on an asyncio loop: bytes and the time go in, and what it has to say goes out once a turn."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..._engine.engine import Engine

__all__ = (
    "Connection",
    "EngineLoop",
    "OnStats",
    "Result",
    "ask_for_stats",
    "discard_at_close",
    "notice_silence",
    "notice_silent_end",
    "sender",
)

log: logging.Logger = logging.getLogger("mcroute")

# What became of a submitted request: its number, its Outcome as an int, and what `Engine.take_results` says.
Result = tuple[int, int, object]


# Our system closes a connection on which the server's acknowledges nothing: an idle one after 5 + 3 x 1 s,
# one with something to send after 3 s. Where a system has these options; as in _loop/system.pxd.
_SILENCE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 3000}


def notice_silence(transport: asyncio.BaseTransport) -> None:
    """For connections to servers: a firewall that has forgotten an idle one tells nobody."""
    sock = transport.get_extra_info("socket")
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for name, value in _SILENCE.items():
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def notice_silent_end(transport: asyncio.BaseTransport) -> None:
    """Lets the system find out when the peer's host has gone. TCP_NODELAY is set by asyncio and uvloop."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def discard_at_close(transport: asyncio.BaseTransport) -> None:
    """Closing is a reset, so that the system does not go on sending what the peer has not taken."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def sender(transport: asyncio.Transport) -> Callable[[list[bytes | memoryview]], None]:
    """What sends several pieces on it, in one system call if it can."""
    if type(transport).__module__.startswith("asyncio."):
        # Its own writelines is a join too before 3.12, and in 3.12.0 to 3.12.8 it never pauses its protocol.
        return lambda pieces: transport.write(b"".join(pieces))
    return transport.writelines


def _unnoticed() -> None:
    pass


# Answers a stats command: is given the line, without its end, and what to call with the reply, now or later.
OnStats = Callable[[bytes, Callable[[bytes], None]], None]


def _no_stats(line: bytes, answer: Callable[[bytes], None]) -> None:
    # Clients read on until they see it.
    answer(b"END\r\n")


def ask_for_stats(on_stats: OnStats, line: bytes, answer: Callable[[bytes], None]) -> None:
    """Its client is answered also if that fails."""
    try:
        on_stats(line, answer)
    except Exception:
        log.exception("%r has no answer", line)
        answer(b"SERVER_ERROR stats failed\r\n")


class Connection(Protocol):
    """What the driver needs of a session's or a link's protocol."""

    def flush(self) -> None:
        """Send what the engine has for the connection, and close it if the engine says so."""

    def abort(self) -> None:
        """Close it without sending any more."""


class LinkWork(Protocol):
    """What links want of each turn."""

    def tell(self) -> None:
        """Tells the supervisor what has happened to links."""

    def check(self, now: float) -> None:
        """Begins attempts that are due, ends those that take too long."""

    def next_wakeup(self) -> float:
        """When `check` is due."""


class EngineLoop:
    """One engine on one loop.

    `on_alarm` is to be set; it is called when the engine has taken servers out of service, or spared them.
    `on_results` is handed, at the end of a turn, what became of submitted requests in it. `on_stats`, which
    may be set, answers stats commands.
    """

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        on_results: Callable[[list[Result]], None] | None = None,
    ) -> None:
        self.engine = engine
        self.loop = loop
        self.connections: dict[int, Connection] = {}
        self.links: LinkWork | None = None
        self.on_alarm: Callable[[], None] = _unnoticed
        self._alarms = 0
        self._on_results = on_results
        self.on_stats: OnStats = _no_stats
        self._is_scheduled = False
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf

    def receive(self, number: int, data: bytes) -> bool:
        """Hands bytes to the engine. Returns whether to read on: see `Engine.receive`."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._flush)
        return self.engine.receive(number, data, self.loop.time())

    def received(self, number: int, size: int) -> None:
        """So many bytes are in what the engine has lent."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._flush)
        self.engine.received(number, size, self.loop.time())

    def schedule(self) -> None:
        """The engine was changed: see at the end of this turn what it has to send."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._flush)

    def close(self) -> None:
        """Nothing is sent and nothing is overdue any more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._is_closed:
            return
        if self.links is not None:
            # First: errors that clients are told next say why.
            self.links.tell()
        self._answer_stats()
        # Flushing makes work itself: a paused session goes on, and asks servers, or for stats.
        while numbers := self.engine.take_dirty():
            for number in numbers:
                self._flush_one(self.connections[number])
            self._answer_stats()
        if self._on_results is not None and (results := self.engine.take_results()):
            self._on_results(results)
        self._look_for_alarms()
        self._arm()

    def _flush_one(self, connection: Connection) -> None:
        try:
            connection.flush()
        except Exception:
            # The others have something to send too.
            log.exception("a connection is closed")
            connection.abort()

    def _answer_stats(self) -> None:
        for number, line in self.engine.take_handed():
            ask_for_stats(self.on_stats, line, partial(self._answer, number))

    def _answer(self, number: int, reply: bytes) -> None:
        self.engine.answer(number, reply)
        self.schedule()

    def _look_for_alarms(self) -> None:
        alarms = self.engine.alarms()
        if alarms > self._alarms:
            self._alarms = alarms
            self.on_alarm()
            # What waited on a server that went out of service goes on elsewhere.
            self.schedule()

    def _arm(self) -> None:
        due = self.engine.next_wakeup()
        if self.links is not None:
            due = min(due, self.links.next_wakeup())
        if due >= self._due:
            # What began since the timer was armed is rarely due before it.
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self.loop.call_at(due, self._check)

    def _check(self) -> None:
        self._timer = None
        self._due = math.inf
        self.engine.check(self.loop.time())
        if self.links is not None:
            self.links.check(self.loop.time())
        self.schedule()
