"""The connection to a server: made, lost, and made again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Sequence
from random import Random
from typing import Protocol, TypeVar, cast

from ..policy import Place, Server
from .addresses import LoopAddress, place_of, resolve
from .asyncio_control import local_address
from .asyncio_driver import Driver, discard_at_close, notice_silent_end, sender

__all__ = ("Link", "LinkObserver", "in_time", "warn_of_strangers")

T = TypeVar("T")

RETRY_BASE_S = 0.05
RETRY_CAP_S = 2.0
DISCARD_SIZE = 4096
# Who answers something else is not asked for values.
HANDSHAKE = ((b"version\r\n", b"VERSION "),)

log = logging.getLogger("mcroute")


async def in_time(awaitable: Awaitable[T], seconds: float) -> T:
    """asyncio.wait_for, but cancelled it always ends so. Raises asyncio.TimeoutError.

    Until Python 3.12 that one forgets its own cancellation when what it waits for ends in the same turn.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((task,), timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if task.cancelled():
        raise asyncio.TimeoutError
    return task.result()


class LinkObserver(Protocol):
    """Who is told how a link fares; servers are ids."""

    def connected(self, server: int) -> None: ...

    def connect_failed(self, server: int) -> None: ...

    def located(self, server: int, place: Place) -> None:
        """Where the next connection leads to."""

    def link_lost(self, server: int, local_address: str, writes_in_flight: int, missed: int) -> bool:
        """Whether requests may go on waiting for the next connection."""


class Link(asyncio.BufferedProtocol):
    """A server's link of this index over all its connections. `run` keeps it connected until cancelled."""

    def __init__(
        self,
        driver: Driver,
        number: int,
        server: Server,
        timeout_s: float,
        observer: LinkObserver,
        rng: Random,
        index: int = 0,
    ) -> None:
        self.server = server
        self.timeout_s = timeout_s  # for making a connection
        self.address = ""
        self.is_tried = asyncio.Event()  # the first attempt to connect is over
        self._driver = driver
        self._engine = driver.engine
        self._id = number
        self._index = index
        self._observer = observer
        self._rng = rng
        self._transport: asyncio.Transport | None = None
        self._has_greeted = False  # as a memcached does
        self._is_held = False
        self._hurried = asyncio.Event()
        self.number = self._open()  # of the connection, in the engine
        driver.connections[self.number] = self

    # ---- life ----

    @property
    def is_connected(self) -> bool:
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
    def is_settled(self) -> bool:
        """Connected, and every request is answered."""
        return self.is_connected and not self.unanswered

    async def run(self) -> None:
        attempt = 0
        while True:
            self._lost = self._driver.loop.create_future()
            if await self._connect():
                self.is_tried.set()
                await self._lost
                # Who answers something else is as bad as who refuses: it would be asked again without end.
                attempt = 0 if self._has_greeted else attempt + 1
            else:
                self.is_tried.set()
                attempt += 1
            await self._pause(attempt)
            while not self._reopen():
                attempt += 1
                await self._pause(attempt)

    def _open(self) -> int:
        """From here on requests wait for the next connection."""
        return self._engine.open_link(self._id, self._index, HANDSHAKE)

    def _reopen(self) -> bool:
        try:
            self._open()
        except MemoryError:
            log.error("server %s: no memory for a connection; tried again", self.server.name)
            return False
        return True

    def hurry(self) -> None:
        """Ends the pause before the next attempt to connect, if it is in one."""
        self._hurried.set()

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
        self._hurried.clear()
        loop = self._driver.loop
        try:
            # Not within the time to connect: a name server that is slow is not the server's fault.
            addresses = await resolve(self.server)
            self._observer.located(self._id, place_of(self.server, addresses))
            await in_time(self._connect_to(addresses), self.timeout_s)
        except (OSError, asyncio.TimeoutError):
            if self._transport is not None:
                # Connected in the same moment as time ran out.
                return True
            self._engine.close(self.number, loop.time())
            self._observer.connect_failed(self._id)
            self._driver.schedule()
            return False
        return True

    async def _connect_to(self, addresses: Sequence[LoopAddress]) -> None:
        """Raises the OSError of the last address if none can be connected to."""
        loop = self._driver.loop
        error: OSError | None = None
        for address in addresses:
            try:
                if isinstance(address, str):
                    await loop.create_unix_connection(lambda: self, address)
                else:
                    await loop.create_connection(lambda: self, *address)
            except OSError as refused:
                error = refused
            else:
                return
        raise error or OSError(f"{self.server.name} has no address")

    async def _pause(self, attempt: int) -> None:
        """Growing, with jitter so that many proxies do not come at once; ends early when in a hurry."""
        if attempt == 0:
            return
        most = min(RETRY_CAP_S, RETRY_BASE_S * 2.0 ** min(attempt, 16))
        with contextlib.suppress(asyncio.TimeoutError):
            await in_time(self._hurried.wait(), most * (1.0 - 0.5 * self._rng.random()))

    # ---- protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        notice_silent_end(transport)
        self._transport = cast(asyncio.Transport, transport)
        self._send = sender(self._transport)
        discard_at_close(transport)
        self.address = local_address(transport)
        self._is_held = False
        self._engine.link_connected(self.number)
        self._observer.connected(self._id)
        # What waited for the connection goes out now.
        self.flush()
        self._driver.schedule()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._has_greeted = self.version != ""
        writes = self._engine.unanswered_writes(self.number)
        self._engine.close(self.number, self._driver.loop.time())
        missed = self._engine.missed_writes(self._id)
        if self._observer.link_lost(self._id, self.address, writes, missed) and self._has_greeted:
            # So that the server misses none.
            self._reopen()
        if not self._lost.done():
            self._lost.set_result(None)
        self._driver.schedule()

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:
        # Large values come straight into the engine's memory. What comes when all is lost is of no use.
        return self._engine.get_buffer(self.number) or bytearray(DISCARD_SIZE)

    def buffer_updated(self, nbytes: int) -> None:
        self._driver.received(self.number, nbytes)

    def pause_writing(self) -> None:
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False
        self.flush()

    def flush(self) -> None:
        if self._transport is None or self._is_held:
            return
        pieces = self._engine.take_pieces(self.number)
        if pieces:
            self._send(pieces)
        if self._engine.must_close(self.number):
            warn_of_strangers(self.server, self._engine.greeting(self.number))
            self._transport.abort()


def warn_of_strangers(server: Server, greeting: bytes) -> None:
    """For the log, if what answered the handshake is no memcached."""
    if greeting and not greeting.startswith(HANDSHAKE[0][1]):
        log.warning("server %s is no memcached: it answers %r to version", server.name, greeting)
