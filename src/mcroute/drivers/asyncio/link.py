"""The connections of a link, one after the other: protocols of an asyncio loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from typing import Protocol, cast

from ...policy import KeepAlive
from ...policy.places import spell_end
from .addresses import LoopAddress
from .control import local_end
from .engine_loop import EngineLoop, discard_at_close, notice_silence, notice_silent_end, sender

__all__ = ("Link", "LinkConnection", "LinkObserver")

DISCARD_SIZE = 4096

log: logging.Logger = logging.getLogger("mcroute")


class LinkObserver(Protocol):
    """Gets the results of connections that links were told to make."""

    keepalive: KeepAlive
    """For new connections."""

    def made(self, link: Link, host: str, port: int) -> None:
        """The connection is made; `host` and `port` are our end, as `LinkRunner.made` takes them."""

    def not_made(self, link: Link, error: int) -> None:
        """The connection failed, by errno."""

    def received(self, link: Link) -> None:
        """The engine has taken bytes before the handshake was answered."""

    def ended(self, link: Link, error: int) -> None:
        """The connection is closed, by errno; 0 if the server has closed it."""


class Link:
    """A link of the engine, with its connection if it has one. `number` is the link's in the engine."""

    def __init__(
        self, engine_loop: EngineLoop, observer: LinkObserver, server: int, index: int, number: int
    ) -> None:
        self.engine_loop = engine_loop
        self.observer = observer
        self.server = server
        self.index = index
        self.number = number
        self.address: LoopAddress = ""
        self.connection: LinkConnection | None = None
        # Closed connections stay until their transports have reported the end.
        self.ending: set[LinkConnection] = set()
        engine_loop.connections[number] = self

    def __repr__(self) -> str:
        engine = self.engine_loop.engine
        state = "greeting" if self.is_open else "not connected"
        if engine.is_ready(self.number):
            state = "ready"
        unanswered = engine.unanswered(self.number)
        address = self.address if isinstance(self.address, str) else spell_end(*self.address)
        return f"<Link {self.index} to {address}: {state}, {unanswered} requests unanswered>"

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, or one that has not ended yet."""
        return self.connection is not None or bool(self.ending)

    def connect(self, address: LoopAddress) -> None:
        self.address = address
        self.connection = LinkConnection(self)
        # On a loop with eager tasks it may fail at once, and the link may have another connection then.
        self.connection.begin(address)

    def close(self) -> None:
        """Drops the connection or the attempt; its end is not reported."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
            self.engine_loop.connections[self.number] = self

    def flush(self) -> None:
        """Nothing: there is no connection."""

    def abort(self) -> None:
        """Nothing, likewise."""

    def detach(self) -> None:
        for connection in self.ending | ({self.connection} if self.connection is not None else set()):
            connection.detach()


class LinkConnection(asyncio.BufferedProtocol):
    """One connection to a server: attempted, made, lost."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._number = link.number
        self._engine_loop = link.engine_loop
        self._engine = link.engine_loop.engine
        self._transport: asyncio.Transport | None = None
        self._is_closed = False
        self._is_greeted = False
        self._is_held = False
        self._making: asyncio.Task[None] | None = None

    def begin(self, address: LoopAddress) -> None:
        self._making = self._engine_loop.loop.create_task(self._make(address))

    async def _make(self, address: LoopAddress) -> None:
        loop = self._engine_loop.loop
        self.link.ending.add(self)
        error = 0
        try:
            if isinstance(address, str):
                await loop.create_unix_connection(lambda: self, address)
            else:
                await loop.create_connection(lambda: self, *address)
        except OSError as failure:
            # Several failures at once have no errno; that of a lookup is negative, and means something else.
            error = max(0, failure.errno or 0) or errno.EHOSTUNREACH
        except MemoryError:
            error = errno.ENOMEM
        except Exception:
            log.exception("a connection to %s is given up, and tried again", address)
            error = errno.ECONNABORTED
        finally:
            if self._transport is None:
                self.link.ending.discard(self)
        if error and not self._is_closed:
            self.link.observer.not_made(self.link, error)

    def close(self) -> None:
        self._is_closed = True
        if self._transport is not None:
            self._transport.abort()
        elif self._making is not None:
            self._making.cancel()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def detach(self) -> None:
        """In a forked child: the connection belongs to the parent, and ends when the parent ends it.

        Its descriptor leads to the null device now, so that a later close affects no other descriptor.
        """
        if self._transport is None or self._transport.is_closing():
            return
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, self._transport.get_extra_info("socket").fileno(), inheritable=False)
        os.close(null)

    # ---- protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._is_closed:
            self._transport.abort()
            return
        try:
            notice_silent_end(transport)
            notice_silence(transport, self.link.observer.keepalive)
            discard_at_close(transport)
            end = local_end(transport)
        except OSError as failure:
            # A connection may be lost before its socket options are set.
            self.link.observer.not_made(self.link, failure.errno or errno.ECONNRESET)
            return
        self._send = sender(self._transport)
        # Not by way of the link: each turn of the loop flushes.
        self._engine_loop.connections[self._number] = self
        self.link.observer.made(self.link, *end)
        # Sends the handshake now.
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.link.ending.discard(self)
        if not self._is_closed:
            self.link.observer.ended(self.link, exc.errno or 0 if isinstance(exc, OSError) else 0)

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:
        # Large values are read straight into the engine's memory. After the end, the bytes are discarded.
        if self._is_closed:
            return bytearray(DISCARD_SIZE)
        return self._engine.get_buffer(self._number) or bytearray(DISCARD_SIZE)

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_closed:
            return
        self._engine_loop.received(self._number, nbytes)
        if not self._is_greeted and self._engine.is_ready(self._number):
            self._is_greeted = True
            self.link.observer.received(self.link)

    def pause_writing(self) -> None:
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False
        self.flush()

    def flush(self) -> None:
        if self._transport is None or self._is_closed or self._is_held:
            return
        pieces = self._engine.take_pieces(self._number)
        if pieces:
            self._send(pieces)
        if self._engine.must_close(self._number):
            self._transport.abort()
