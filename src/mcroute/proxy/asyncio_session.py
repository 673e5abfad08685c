"""A client's connection: its bytes go to the engine, the engine's replies go back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from ..drivers.asyncio.engine_loop import EngineLoop, notice_silent_end, sender

__all__ = ("Session",)


# Bytes that a transport gets at once.
PIECES_MAX = 256 * 1024


class Session(asyncio.Protocol):
    """Buffers nothing itself: the engine holds the bytes of the last read, and pauses reading."""

    def __init__(self, engine_loop: EngineLoop, left: Callable[[], None] | None = None) -> None:
        self._engine_loop = engine_loop
        self._left = left  # called when the connection is lost
        self._engine = engine_loop.engine
        self._number = 0  # in the engine; 0: the engine has no room for the session
        self._is_paused = False  # whether reading is paused
        self._is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        notice_silent_end(transport)
        self._transport = cast(asyncio.Transport, transport)
        self._send = sender(self._transport)
        try:
            self._number = self._engine.open_session()
        except MemoryError:
            # The client tries again; other clients must not suffer for it.
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
        # Later bytes wait in the engine, which pauses the session when they become too many.
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False
        self.flush()
        self._engine_loop.schedule()

    def end(self) -> None:
        """Takes no further requests; closes when the pending requests are answered."""
        self._is_paused = True
        self._transport.pause_reading()
        self._engine.end_input(self._number)
        self._engine_loop.schedule()

    def abort(self) -> None:
        self._transport.abort()

    def flush(self) -> None:
        if self._engine.is_broken(self._number):
            # Unread replies are discarded.
            self._transport.abort()
            return
        # In small pieces: no bound of memory counts the bytes in a transport.
        while not self._is_held and (pieces := self._engine.take_pieces(self._number, PIECES_MAX)):
            self._send(pieces)
        if self._is_held:
            return
        if self._engine.must_close(self._number):
            self._transport.close()
        elif self._is_paused and self._engine.may_read(self._number):
            self._is_paused = False
            self._transport.resume_reading()
