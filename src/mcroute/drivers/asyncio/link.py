"""The connection to a server: made, lost, and made again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import os
from collections.abc import Sequence
from typing import Protocol, cast

from ...policy import Place, Server
from ...runtime.handshakes import HANDSHAKE, NO_ADDRESS, OURS, why_failed, why_lost
from .addresses import LoopAddress, place_of, resolve
from .control import local_address
from .engine_loop import EngineLoop, discard_at_close, notice_silence, notice_silent_end, sender
from .retrying import Retry
from .timing import in_time

__all__ = ("Link", "LinkObserver")

DISCARD_SIZE = 4096

log: logging.Logger = logging.getLogger("mcroute")


class LinkObserver(Protocol):
    """Who is told how a link fares; servers are ids."""

    def connected(self, server: int) -> None:
        """And the handshake is answered."""

    def connect_failed(self, server: int, why: str, error: Exception | None = None) -> None:
        """For this reason, in words and as the system has raised it."""

    def starved(self, server: int) -> None:
        """No descriptor or memory was left for a connection: the server has not failed."""

    def located(self, server: int, place: Place) -> None:
        """Where the next connection leads to."""

    def losing(self, server: int, why: str, error: Exception | None) -> None:
        """A connection has gone for this reason; `link_lost` is due when its requests have been told."""

    def link_lost(
        self, server: int, local_address: str, writes_in_flight: int, missed: int, why: str
    ) -> bool:
        """Whether requests may go on waiting for the next connection."""


class Link(asyncio.BufferedProtocol):
    """A server's link of this index over all its connections. `run` keeps it connected until cancelled."""

    def __init__(
        self,
        engine_loop: EngineLoop,
        number: int,
        server: Server,
        timeout_s: float,
        observer: LinkObserver,
        retry: Retry,
        index: int = 0,
    ) -> None:
        self.server = server
        self.timeout_s = timeout_s  # for making a connection, handshake included
        self.address: str = ""
        self.is_tried: asyncio.Event = asyncio.Event()  # the first attempt to connect is over
        self._engine_loop = engine_loop
        self._engine = engine_loop.engine
        self._id = number
        self._index = index
        self._observer = observer
        self._retry = retry
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()  # the last connection
        self._is_ready = False  # the handshake is answered
        self._is_held = False
        self.number: int = self._engine.add_link(number, index)  # of the connection, in the engine
        engine_loop.connections[self.number] = self
        self._open_if_possible()

    def __repr__(self) -> str:
        state = "ready" if self._is_ready else "greeting" if self.is_open else "not connected"
        return f"<Link {self._index} to {self.server.name}: {state}, {self.unanswered} requests unanswered>"

    # ---- life ----

    @property
    def is_connected(self) -> bool:
        """And the handshake is answered."""
        return self._is_ready

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, answered or not."""
        return self._transport is not None

    @property
    def version(self) -> str:
        """What the server calls itself; empty before it has answered on this connection."""
        word, _, version = self._engine.greeting(self.number).partition(b" ")
        return version.decode(errors="replace") if word == b"VERSION" else ""

    @property
    def unanswered(self) -> int:
        """Requests without a reply, whether anybody waits for it or not."""
        return self._engine.unanswered(self.number)

    @property
    def silent_since(self) -> float:
        """When it was last heard while it owes a reply, in the loop's seconds; infinity if it owes none."""
        return self._engine.silent_since(self.number) if self.is_connected else math.inf

    @property
    def is_settled(self) -> bool:
        """Connected, and every request is answered."""
        return self.is_connected and not self.unanswered

    async def run(self) -> None:
        while True:
            await self._retry.turn()
            is_connected = False
            try:
                is_connected = await self._connect()
            except Exception:
                log.exception("server %s: a connection is given up, and tried again", self.server.name)
            finally:
                self.is_tried.set()
                self._retry.ended(is_connected)
            if is_connected:
                await self._lost.wait()
            else:
                # Also after an exception: nothing is left of the attempt.
                await self._give_up()

    def _open(self) -> None:
        """From here on requests wait for the next connection."""
        self._engine.open_link(self._id, self._index, HANDSHAKE)

    def _open_if_possible(self) -> None:
        """The next attempt to connect sees to it if there is no memory now."""
        with contextlib.suppress(MemoryError):
            self._open()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def let_go(self) -> None:
        """In a forked child: the connection goes on being the parent's, and ends when the parent ends it.

        Its number now means the null device, so that whoever closes it later closes nothing of anybody's.
        """
        if self._transport is None or self._transport.is_closing():
            return
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, self._transport.get_extra_info("socket").fileno(), inheritable=False)
        os.close(null)

    async def _connect(self) -> bool:
        """Whether the server has answered the handshake; the supervisor is told why not."""
        error, is_late, lookup = 0, False, ""
        cause: Exception | None = None
        try:
            self._open()
            # Not within the time to connect: a name server that is slow is not the server's fault.
            addresses = await self._resolve()
            self._observer.located(self._id, place_of(self.server, addresses))
            await in_time(self._shake_hands(addresses), self.timeout_s)
        except TimeoutError:
            error, is_late = 0 if self.is_open else errno.ETIMEDOUT, True
        except _Refused:
            pass
        except MemoryError:
            error = errno.ENOMEM
        except OSError as failure:
            # Some have no number, and several at once have none either.
            error, cause = failure.errno or errno.EHOSTUNREACH, failure
            if error == NO_ADDRESS:
                lookup, cause = failure.strerror or "", failure.__cause__ or failure  # type: ignore[assignment]
        # Also if that came in the same moment as time ran out.
        if self._is_ready:
            return True
        greeting = self._engine.greeting(self.number)
        await self._give_up(is_ours=error in OURS)
        if error in OURS:
            self._observer.starved(self._id)
        else:
            why = why_failed(error, is_late, greeting, lookup)
            cause = cause or (TimeoutError if is_late else ConnectionError)(why)
            # Without the frames that it has come through, which nobody needs for as long as it is known.
            self._observer.connect_failed(self._id, why, cause.with_traceback(None))
        self._engine_loop.schedule()
        return False

    async def _resolve(self) -> Sequence[LoopAddress]:
        try:
            return await resolve(self.server)
        except OSError as failure:
            if failure.errno in OURS:
                raise
            raise OSError(NO_ADDRESS, failure.strerror or str(failure)) from failure

    async def _shake_hands(self, addresses: Sequence[LoopAddress]) -> None:
        """Raises the OSError of the last address if none can be connected to."""
        self._greeted: asyncio.Future[Exception | None] = self._engine_loop.loop.create_future()
        error = OSError(NO_ADDRESS, f"{self.server.name} has no address")
        for address in addresses:
            try:
                await self._connect_to(address)
            except OSError as refused:
                error = refused
            else:
                break
        else:
            raise error
        failure = await self._greeted
        if failure is not None:
            raise failure

    async def _connect_to(self, address: LoopAddress) -> None:
        if isinstance(address, str):
            await self._engine_loop.loop.create_unix_connection(lambda: self, address)
        else:
            await self._engine_loop.loop.create_connection(lambda: self, *address)

    async def _give_up(self, *, is_ours: bool = False) -> None:
        """Nothing is left of the attempt: no transport, and nothing waits for it."""
        if self._transport is not None:
            self._transport.abort()
            await self._lost.wait()
        now = self._engine_loop.loop.time()
        if is_ours:
            self._engine.withdraw(self.number, now)
        else:
            self._engine.close(self.number, now)

    # ---- protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lost.clear()
        self._is_held = False
        try:
            notice_silent_end(transport)
            notice_silence(transport)
            self._send = sender(self._transport)
            discard_at_close(transport)
            self.address = local_address(transport)
            self._engine.link_connected(self.number)
            # The handshake goes out now.
            self.flush()
        except Exception as failure:
            # A connection may be lost before it is looked at.
            self._finish(failure)
            self._transport.abort()

    def _finish(self, failure: Exception | None = None) -> None:
        """The handshake is over."""
        if not self._greeted.done():
            self._greeted.set_result(failure)

    def _ready(self) -> None:
        self._is_ready = True
        self._finish()
        self._observer.connected(self._id)

    def connection_lost(self, exc: Exception | None) -> None:
        was_ready, self._is_ready = self._is_ready, False
        self._transport = None
        try:
            if was_ready:
                self._report_loss(exc)
            self._engine_loop.schedule()
        finally:
            self._finish(_Refused())
            self._lost.set()

    def _report_loss(self, error: Exception | None) -> None:
        why = why_lost(error.errno or 0 if isinstance(error, OSError) else 0)
        cause = ConnectionResetError(why) if error is None else error.with_traceback(None)
        # Before the requests on it hear of it.
        self._observer.losing(self._id, why, cause)
        writes = self._engine.unanswered_writes(self.number)
        self._engine.close(self.number, self._engine_loop.loop.time())
        missed = self._engine.missed_writes(self._id)
        if self._observer.link_lost(self._id, self.address, writes, missed, why):
            # So that the server misses none.
            self._open_if_possible()

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:
        # Large values come straight into the engine's memory. What comes when all is lost is of no use.
        return self._engine.get_buffer(self.number) or bytearray(DISCARD_SIZE)

    def buffer_updated(self, nbytes: int) -> None:
        self._engine_loop.received(self.number, nbytes)

    def pause_writing(self) -> None:
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False
        self.flush()

    def flush(self) -> None:
        if self._transport is None:
            return
        if not self._is_ready and self._engine.is_ready(self.number):
            self._ready()
        if self._is_held:
            return
        pieces = self._engine.take_pieces(self.number)
        if pieces:
            self._send(pieces)
        if self._engine.must_close(self.number):
            self._transport.abort()


class _Refused(OSError):
    """The connection ended before the handshake did."""
