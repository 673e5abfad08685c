"""A proxy on a custom event loop: sockets and time for `mcroute.Engine`, and servers that come back.

    python examples/own_driver/driver.py PORT 127.0.0.1:11211 127.0.0.1:11212

Here the loop is `selectors`, in one thread; in your program it is yours. This file moves bytes;
`supervision.py` carries out the supervisor's decisions. Not included: host names, unix sockets, several
links to a server, another plan at run time.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

from supervision import Supervision

from mcroute import Engine
from mcroute.policy import Plan, Pool, Replicate, Server, compile_plan

READ_SIZE = 64 * 1024
# The first command on a link, and the prefix of its answer. No request is sent before that answer.
HANDSHAKE = ((b"version\r\n", b"VERSION "),)
CONNECT_TIMEOUT_S = 0.5  # handshake included
RETRY_S, RETRY_CAP_S = 0.05, 2.0
# Closing sends a reset: the system must not send a link's requests after the link was closed.
NO_LINGER = struct.pack("ii", 1, 0)


class Connection:
    """A socket under a connection of the engine."""

    sock: socket.socket | None = None

    def __init__(self, driver: Driver, number: int) -> None:
        self.driver = driver
        self.engine = driver.engine
        self.number = number
        self.unsent = memoryview(b"")
        self.watched = 0
        driver.connections[number] = self

    def attach(self, sock: socket.socket, events: int) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.watch(events)

    def detach(self) -> None:
        if self.sock is not None:
            self.watch(0)
            self.sock.close()
        self.sock = None
        self.unsent = memoryview(b"")

    def watch(self, events: int) -> None:
        assert self.sock is not None
        if events and self.watched:
            self.driver.selector.modify(self.sock, events, self.ready)
        elif events:
            self.driver.selector.register(self.sock, events, self.ready)
        elif self.watched:
            self.driver.selector.unregister(self.sock)
        self.watched = events

    def watch_as_due(self) -> None:
        """Reads from a session only while the engine has not paused it."""
        reads = EVENT_READ if self.engine.may_read(self.number) else 0
        events = reads | (EVENT_WRITE if self.unsent else 0)
        if self.sock is not None and events != self.watched:
            self.watch(events)

    def ready(self, events: int) -> None:
        if events & EVENT_WRITE:
            self.flush()
        if events & EVENT_READ and self.sock is not None:
            self.read()

    def read(self) -> None:
        assert self.sock is not None
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if data:
            self.engine.receive(self.number, data, self.driver.now)
            self.watch_as_due()
        else:
            self.end()

    def flush(self) -> None:
        """Sends pending output, and takes no more from the engine than the system accepts."""
        if self.sock is None:
            return
        try:
            while unsent := self.unsent or memoryview(self.engine.take_output(self.number)):
                self.unsent = unsent
                self.unsent = unsent[self.sock.send(unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        is_over = self.engine.must_close(self.number) and not self.unsent
        if is_over or self.engine.is_broken(self.number):
            self.close()
        else:
            self.watch_as_due()

    def end(self) -> None:
        """Handles the end of the peer's input."""
        self.close()

    def close(self) -> None:
        raise NotImplementedError


class Session(Connection):
    """A client's connection."""

    def __init__(self, driver: Driver, sock: socket.socket) -> None:
        super().__init__(driver, driver.engine.open_session())
        self.attach(sock, EVENT_READ)

    def end(self) -> None:
        # The client may have closed one half only, and still gets its replies.
        self.engine.end_input(self.number)
        self.watch_as_due()

    def close(self) -> None:
        self.detach()
        del self.driver.connections[self.number]
        self.engine.close(self.number, self.driver.now)


class Link(Connection):
    """The connection to a server, reconnected when it is lost."""

    def __init__(self, driver: Driver, server: int, address: Server) -> None:
        super().__init__(driver, driver.engine.open_link(server, 0, HANDSHAKE))
        self.server = server
        self.target = (address.host, address.port)
        self.family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.address = ""  # our end, to find the connection in the server's list
        self.is_connected = self.is_ready = False  # ready: the handshake is answered
        self.due_at = 0.0  # time to connect, or to give the attempt up
        self.retry_s = RETRY_S

    def turn(self) -> None:
        now = self.driver.now
        if self.is_ready or now < self.due_at:
            return
        if self.sock is not None:
            self.close()
            return
        self.engine.open_link(self.server, 0, HANDSHAKE)
        self.due_at = now + CONNECT_TIMEOUT_S
        sock = socket.socket(self.family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.attach(sock, EVENT_WRITE)
        sock.connect_ex(self.target)  # the result is read when the socket is ready

    def retry_now(self) -> None:
        """Connects now: the server is known to answer."""
        if self.sock is None:
            self.due_at = 0.0

    def ready(self, events: int) -> None:
        if self.sock is not None and not self.is_connected:
            if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.close()
                return
            self.is_connected = True
            self.address = str(self.sock.getsockname()[1])
            self.engine.link_connected(self.number)  # the handshake is sent next
        super().ready(events)

    def flush(self) -> None:
        if self.is_connected:
            super().flush()

    def read(self) -> None:
        super().read()
        if self.is_connected and not self.is_ready and self.engine.is_ready(self.number):
            self.is_ready = True
            self.retry_s = RETRY_S
            self.driver.supervision.connected(self.server)

    def close(self) -> None:
        was_ready = self.is_ready
        writes = self.engine.unanswered_writes(self.number)  # the server may still execute these
        self.is_connected = self.is_ready = False
        self.detach()
        self.engine.close(self.number, self.driver.now)
        self.due_at = self.driver.now + self.retry_s * random.uniform(0.5, 1)
        self.retry_s = min(2 * self.retry_s, RETRY_CAP_S)
        if not was_ready:
            self.driver.supervision.connect_failed(self.server)
        elif self.driver.supervision.link_lost(self.server, self.address, writes):
            # The server stays in service: requests wait for the next connection.
            self.engine.open_link(self.server, 0, HANDSHAKE)


class Driver:
    """A proxy for memcached's clients. `port` 0 chooses a free one; see the attribute."""

    def __init__(self, plan: Plan, host: str = "127.0.0.1", port: int = 0) -> None:
        self.now = time.monotonic()
        self.selector = DefaultSelector()
        self.engine = Engine(plan, seed=random.getrandbits(64))
        self.connections: dict[int, Connection] = {}
        ids = self.engine.server_ids()
        self.links = {ids[server.name]: Link(self, ids[server.name], server) for server in plan.servers}
        self.supervision = Supervision(self.engine, plan, self.links, self.call_soon)
        self._calls: deque[Callable[[], None]] = deque()
        self._woken, self._waker = socket.socketpair()
        self.selector.register(self._woken, EVENT_READ, lambda events: self._woken.recv(4096))
        self._listener = socket.create_server((host, port))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self.selector.register(self._listener, EVENT_READ, self._accept)

    def call_soon(self, call: Callable[[], None]) -> None:
        """Calls it in the loop's thread, in the next turn; any thread may call this."""
        self._calls.append(call)
        self._waker.send(b"x")

    def run(self) -> None:
        while True:
            ready = self.selector.select(max(0.0, min(3600.0, self._next_wakeup() - time.monotonic())))
            self.now = time.monotonic()
            for key, events in ready:
                key.data(events)
            self._turn()

    def _next_wakeup(self) -> float:
        dues = [link.due_at for link in self.links.values() if not link.is_ready]
        return min(self.engine.next_wakeup(), self.supervision.next_wakeup(), *dues)

    def _turn(self) -> None:
        while self._calls:
            self._calls.popleft()()
        if self.now >= self.engine.next_wakeup():
            self.engine.check(self.now)
        for link in self.links.values():
            link.turn()
        self._flush()
        self.supervision.turn()
        self._flush()

    def _flush(self) -> None:
        self._answer_stats()
        # Flushing makes more work: a paused session resumes, and sends requests or asks for stats.
        while numbers := self.engine.take_dirty():
            for number in numbers:
                if number in self.connections:
                    self.connections[number].flush()
            self._answer_stats()

    def _answer_stats(self) -> None:
        for number, _ in self.engine.take_deferred():
            self.engine.answer(number, self.supervision.stats())

    def _accept(self, events: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # the client has disconnected, or no descriptor is left
        Session(self, sock)


def main(port: int, addresses: list[str]) -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    route = Replicate(Pool.of("main", addresses), copies=min(2, len(addresses)))
    driver = Driver(compile_plan(route), port=port)
    print(driver.port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        driver.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
