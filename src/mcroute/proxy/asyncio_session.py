"""A client's connection: its bytes go to the engine, the engine's replies go back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from ..drivers.asyncio.engine_loop import EngineLoop, notice_silent_end, sender

__all__ = ("Session",)


# Bytes that are handed to a transport at once.
PIECES_MAX = 256 * 1024


class Session(asyncio.Protocol):
    """Holds no bytes of its own: the engine does, of the last read, and until it goes on nothing is read."""

    def __init__(self, engine_loop: EngineLoop, left: Callable[[], None] | None = None) -> None:
        self._engine_loop = engine_loop
        self._left = left  # is told that the connection is no more
        self._engine = engine_loop.engine
        self._number = 0  # in the engine; 0: it has no room for the session
        self._is_paused = False  # reading is
        self._is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        notice_silent_end(transport)
        self._transport = cast(asyncio.Transport, transport)
        self._send = sender(self._transport)
        try:
            self._number = self._engine.open_session()
        except MemoryError:
            # The client tries again; nobody else is to suffer for it.
            self._transport.abort()
            return
        self._engine_loop.connections[self._number] = self

    def connection_lost(self, exc: Exception | None) -> None:
        if self._left is not None:
            self._left()
        if not self._number:
            return
        del self._engine_loop.connections[self._number]
        self._engine.close(self._number, self._engine_loop.loop.time())
        self._engine_loop.schedule()

    def data_received(self, data: bytes) -> None:
        if not self._engine_loop.receive(self._number, data):
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has half closed: it still gets its replies."""
        self.end()
        return True

    def pause_writing(self) -> None:
        # What comes now waits in the engine, which takes no more requests when it becomes much.
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False
        self.flush()
        self._engine_loop.schedule()

    def end(self) -> None:
        """Takes no further requests; closes when those that have come are answered."""
        self._is_paused = True
        self._transport.pause_reading()
        self._engine.end_input(self._number)
        self._engine_loop.schedule()

    def abort(self) -> None:
        self._transport.abort()

    def flush(self) -> None:
        if self._engine.is_broken(self._number):
            # What it has not read yet is not waited for.
            self._transport.abort()
            return
        # Little at a time: what the transport holds counts for no bound of memory.
        while not self._is_held and (pieces := self._engine.take_pieces(self._number, PIECES_MAX)):
            self._send(pieces)
        if self._is_held:
            return
        if self._engine.must_close(self._number):
            self._transport.close()
        elif self._is_paused and self._engine.may_read(self._number):
            self._is_paused = False
            self._transport.resume_reading()
