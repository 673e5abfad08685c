"""Connections of a machine: asyncio transports over wires, with what the drivers ask of their sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import Any

from .machines import Machine
from .paths import Path, Wire

__all__ = ("SimulatedSocket", "SimulatedTransport")

End = tuple[str, int]

# An idle connection is noticed to be dead after the keepalive times of its options; without them never.
IDLE, INTERVAL, COUNT = "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"


class SimulatedSocket:
    """The options of a connection; they decide when a silent path ends it."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM

    def __init__(self, local: End, remote: End) -> None:
        self._local = local
        self._remote = remote
        self._options: dict[tuple[int, int], Any] = {}

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self._options[level, option] = value

    def getsockname(self) -> End:
        return self._local

    def getpeername(self) -> End:
        return self._remote

    def fileno(self) -> int:
        return -1

    def _tcp(self, name: str) -> int | None:
        option = getattr(socket, name, None)
        return None if option is None else self._options.get((socket.IPPROTO_TCP, option))

    @property
    def discards_at_close(self) -> bool:
        """Whether closing sends a reset, and discards what was not acknowledged."""
        return (socket.SOL_SOCKET, socket.SO_LINGER) in self._options

    @property
    def unsent_limit_s(self) -> float | None:
        """The system resets a connection whose data is not acknowledged for so long; None: it never does."""
        limit_ms = self._tcp("TCP_USER_TIMEOUT")
        return limit_ms / 1000 if limit_ms else None

    @property
    def idle_limit_s(self) -> float | None:
        """It resets a connection whose peer does not acknowledge keepalive probes after so long."""
        times = [self._tcp(name) for name in (IDLE, INTERVAL, COUNT)]
        if not self._options.get((socket.SOL_SOCKET, socket.SO_KEEPALIVE)) or None in times:
            return None
        idle, interval, count = (time or 0 for time in times)
        return float(idle + interval * count)


class SimulatedTransport(asyncio.Transport):
    """One end of a connection. The protocol is called in the context of the machine's task."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, machine: Machine, protocol: Any, local: End, remote: End
    ) -> None:
        self.socket: SimulatedSocket = SimulatedSocket(local, remote)
        super().__init__({"socket": self.socket, "sockname": local, "peername": remote})
        self._loop = loop
        self._machine = machine
        self._protocol = protocol
        self._context: Context = copy_context()
        self._wire: Wire | None = None
        self._paths: tuple[Path, ...] = ()
        self._is_watched = False
        self._arrived: list[bytes | int] = []  # while reading is paused
        self._is_paused = False
        self._is_closing = False
        self._is_lost = False
        machine.connections[self] = None

    def __repr__(self) -> str:
        return f"<SimulatedTransport {self.socket.getsockname()} to {self.socket.getpeername()}>"

    def begin(self, wire: Wire, paths: tuple[Path, ...]) -> None:
        """Connects the outgoing direction, and tells the protocol. `paths` are those in both directions."""
        self._wire = wire
        self._paths = paths
        for path in paths:
            path.watchers[self] = None
        self._context.run(self._protocol.connection_made, self)

    # ---- what arrives ----

    def receive(self, data: bytes) -> None:
        if self._is_closing:
            # The system answers bytes for a closed connection with a reset.
            self._hang_up(is_reset=True)
            return
        if self._is_paused or self._arrived:
            self._arrived.append(data)
        else:
            self._context.run(self._pass_on, data)

    def ended(self, error: int) -> None:
        if self._is_closing:
            return
        if error:
            self._arrived.clear()
            self._lose(OSError(error, os.strerror(error)))
        elif self._is_paused or self._arrived:
            self._arrived.append(0)
        else:
            self._context.run(self._end_of_input)

    def _pass_on(self, data: bytes) -> None:
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(data)
            return
        at = 0
        while at < len(data) and not self._is_closing:
            room = memoryview(self._protocol.get_buffer(-1))
            size = min(len(room), len(data) - at)
            room[:size] = data[at : at + size]
            self._protocol.buffer_updated(size)
            at += size

    def _end_of_input(self) -> None:
        if not self._protocol.eof_received():
            self.close()

    # ---- what the system notices ----

    def path_cut(self) -> None:
        if not self._is_closing and self.socket.idle_limit_s is not None:
            self._loop.call_later(self.socket.idle_limit_s, self._look_at_silence, self._cuts())

    def _watch_unsent(self) -> None:
        limit_s = self.socket.unsent_limit_s
        if limit_s is not None and not self._is_watched:
            self._is_watched = True
            self._loop.call_later(limit_s, self._look_at_silence, self._cuts())

    def _cuts(self) -> list[float | None]:
        return [path.cut_at for path in self._paths]

    def _look_at_silence(self, cuts: list[float | None]) -> None:
        self._is_watched = False
        is_silent = any(
            cut is not None and cut == before for cut, before in zip(self._cuts(), cuts, strict=True)
        )
        if is_silent and not self._is_closing:
            self._hang_up(is_reset=True)
            self._lose(OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))

    def crash(self) -> None:
        """The process has ended: the system closes its connections."""
        self._is_closing = self._is_lost = True
        self._leave_network()
        self._hang_up(self.socket.discards_at_close)

    def _leave_network(self) -> None:
        self._machine.connections.pop(self, None)
        for path in self._paths:
            path.watchers.pop(self, None)

    def _hang_up(self, is_reset: bool) -> None:
        if self._wire is not None and is_reset:
            self._wire.reset()
        elif self._wire is not None:
            self._wire.finish()

    def _lose(self, error: Exception | None) -> None:
        self._is_closing = True
        self._leave_network()
        self._loop.call_soon(self._tell_lost, error, context=self._context)

    def _tell_lost(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._protocol.connection_lost(error)

    # ---- asyncio's interface ----

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return self._is_closing

    def write(self, data: Any) -> None:
        if self._wire is not None and not self._is_closing and data:
            self._wire.send(bytes(data))
            if any(path.is_cut for path in self._paths):
                self._watch_unsent()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The system's buffers take everything: protocols are never paused."""

    def is_reading(self) -> bool:
        return not self._is_paused and not self._is_closing

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        if self._arrived:
            self._loop.call_soon(self._pass_on_arrived, context=self._context)

    def _pass_on_arrived(self) -> None:
        while self._arrived and not self._is_paused and not self._is_closing:
            piece = self._arrived.pop(0)
            if isinstance(piece, bytes):
                self._pass_on(piece)
            else:
                self._end_of_input()

    def close(self) -> None:
        if not self._is_closing:
            self._hang_up(self.socket.discards_at_close)
            self._lose(None)

    def abort(self) -> None:
        """As `close`: all that was written before is in the system's buffers already."""
        self.close()
