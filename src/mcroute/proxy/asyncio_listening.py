"""Accepts a bounded number of clients on an asyncio loop; further clients stay in the system's backlog.

asyncio's own server accepts without a bound, and uvloop's cannot be paused.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

from .asyncio_session import Session

__all__ = ("Acceptor",)

ACCEPTS_A_TURN = 64
# A listener that failed to accept is tried again after this time.
PAUSE_S = 0.1

log: logging.Logger = logging.getLogger("mcroute")


class Acceptor:
    """Accepts on these sockets, and closes them at the end, while there are fewer than `clients_max` clients.

    Call `left` when a client's connection is lost. `held` counts the pauses that made clients wait.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sockets: Sequence[socket.socket], clients_max: int
    ) -> None:
        self.held: int = 0
        self._loop = loop
        self._sockets = sockets
        self._clients_max = clients_max
        self._clients = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def begin(self, make: Callable[[], Session]) -> None:
        self._make = make
        self._listen()

    def set_clients_max(self, clients_max: int) -> None:
        """Sets the bound; connected clients stay."""
        self._clients_max = clients_max

    @property
    def opening(self) -> int:
        """The number of accepted clients without a session, or with a session just made."""
        return len(self._opening)

    def left(self) -> None:
        self._clients -= 1

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for listener in self._sockets:
            self._loop.remove_reader(listener)
            listener.close()

    async def closed(self) -> None:
        """Returns when every accepted client has its session."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _listen(self) -> None:
        self._timer = None
        for listener in self._sockets:
            self._loop.add_reader(listener, self._accept, listener)

    def _pause(self) -> None:
        for listener in self._sockets:
            self._loop.remove_reader(listener)
        if self._timer is None:
            self._timer = self._loop.call_later(PAUSE_S, self._listen)

    def _accept(self, listener: socket.socket) -> None:
        if self._is_closed or self._timer is not None:
            return
        for accepted in range(ACCEPTS_A_TURN):
            if self._clients >= self._clients_max:
                # After the last client that fits, the backlog may be empty: the next turn shows.
                if not accepted:
                    self.held += 1
                    self._pause()
                return
            try:
                client, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # Descriptors or memory are exhausted.
                self._pause()
                return
            self._clients += 1
            client.setblocking(False)
            opening = self._loop.create_task(self._open(client))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _open(self, client: socket.socket) -> None:
        session: Session | None = None

        def make() -> Session:
            nonlocal session
            session = self._make()
            return session

        try:
            _, opened = await self._loop.connect_accepted_socket(make, client)
            if self._is_closed:
                opened.end()
        except Exception:
            client.close()
            if session is None:
                self._clients -= 1
            log.exception("a client is closed")
