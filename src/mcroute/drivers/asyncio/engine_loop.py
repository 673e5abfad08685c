"""An engine on an asyncio loop: passes bytes and the time to it, and sends its output once a turn."""

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
from ...policy import KeepAlive

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

# The result of a submitted request: its number, its Outcome as an int, and the object of
# `Engine.take_results`.
Result = tuple[int, int, object]


def notice_silence(transport: asyncio.BaseTransport, keepalive: KeepAlive) -> None:
    """For connections to servers. Raises OSError."""
    sock = transport.get_extra_info("socket")
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    values = {
        "TCP_KEEPIDLE": keepalive.idle_s,
        "TCP_KEEPINTVL": keepalive.interval_s,
        "TCP_KEEPCNT": keepalive.probes,
        "TCP_USER_TIMEOUT": round(1000 * keepalive.unacknowledged_s),
    }
    for name, value in values.items():
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def notice_silent_end(transport: asyncio.BaseTransport) -> None:
    """The system notices when the peer's host is gone. asyncio and uvloop set TCP_NODELAY."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def discard_at_close(transport: asyncio.BaseTransport) -> None:
    """Closing sends a reset, so that the system discards unsent data."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def sender(transport: asyncio.Transport) -> Callable[[list[bytes | memoryview]], None]:
    """A function that sends several pieces on the transport, in one system call if possible."""
    if type(transport).__module__.startswith("asyncio."):
        # Before 3.12 writelines joins too, and in 3.12.0 to 3.12.8 it never pauses its protocol.
        return lambda pieces: transport.write(b"".join(pieces))
    return transport.writelines


def _unnoticed() -> None:
    pass


# Answers a stats command: gets the line, without its end, and a function to call with the reply, now or
# later.
OnStats = Callable[[bytes, Callable[[bytes], None]], None]


def _no_stats(line: bytes, answer: Callable[[bytes], None]) -> None:
    # Clients read on until they see END.
    answer(b"END\r\n")


def ask_for_stats(on_stats: OnStats, line: bytes, answer: Callable[[bytes], None]) -> None:
    """Answers the client also if `on_stats` fails."""
    try:
        on_stats(line, answer)
    except Exception:
        log.exception("%r has no answer", line)
        answer(b"SERVER_ERROR stats failed\r\n")


class Connection(Protocol):
    """The driver's interface to the protocol of a session or a link."""

    def flush(self) -> None:
        """Sends the engine's output for the connection, and closes it if the engine requires that."""

    def abort(self) -> None:
        """Closes the connection without sending more."""


class LinkWork(Protocol):
    """The links' interface to each turn."""

    def tell(self) -> None:
        """Reports events of links to the supervisor."""

    def check(self, now: float) -> None:
        """Begins attempts that are due, ends those that time out."""

    def next_wakeup(self) -> float:
        """The time of the next `check`."""


class EngineLoop:
    """One engine on one loop.

    Set `on_alarm`: it is called when the engine has ejected servers, or spared them. `on_results` gets, at
    the end of a turn, the results of submitted requests. `on_stats`, which is optional, answers stats
    commands.
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
        """Passes bytes to the engine. Returns whether to read on: see `Engine.receive`."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._flush)
        return self.engine.receive(number, data, self.loop.time())

    def received(self, number: int, size: int) -> None:
        """So many bytes were read into the engine's buffer."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._flush)
        self.engine.received(number, size, self.loop.time())

    def schedule(self) -> None:
        """The engine has changed: its output is sent at the end of this turn."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._flush)

    def close(self) -> None:
        """Ends sending and timers."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._is_closed:
            return
        if self.links is not None:
            # First: the errors for clients below contain the reasons.
            self.links.tell()
        self._answer_stats()
        # Flushing makes more work: a paused session resumes, and sends requests or asks for stats.
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
            # The other connections have output too.
            log.exception("a connection is closed")
            connection.abort()

    def _answer_stats(self) -> None:
        for number, line in self.engine.take_deferred():
            ask_for_stats(self.on_stats, line, partial(self._answer, number))

    def _answer(self, number: int, reply: bytes) -> None:
        self.engine.answer(number, reply)
        self.schedule()

    def _look_for_alarms(self) -> None:
        alarms = self.engine.alarms()
        if alarms > self._alarms:
            self._alarms = alarms
            self.on_alarm()
            # Requests that waited for an ejected server fail over.
            self.schedule()

    def _arm(self) -> None:
        due = self.engine.next_wakeup()
        if self.links is not None:
            due = min(due, self.links.next_wakeup())
        if due >= self._due:
            # Requests begun after the timer was armed are rarely due before it.
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
