"""A real memcached and a model of it, which get the same requests."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator

from mcroute.simulation.model_server import ModelServer
from mcroute.testing import Limits, MemcachedServer

from .pairs import MARK, MARKED, memcached_version

__all__ = ("FAR", "Link", "Twins", "twins")

# Over a year away: `t` has the fraction of a second in which each server was started.
FAR = b"%d" % (time.time() + 400 * 24 * 3600)
DEFAULT = Limits()
FAR_AWAY = re.compile(rb" t\d{8,10}\b")


def arguments(limits: Limits) -> list[str]:
    """The limits as arguments of a memcached; the unit of a chunk's size depends on the release."""
    assert limits.chunk_size == DEFAULT.chunk_size
    found = ["-m", str(limits.memory >> 20), "-I", str(limits.item_size), "-c", str(limits.connections)]
    return found if limits.evicts else [*found, "-M"]


class MovedClock:
    """The machine's; the monotonic one is moved, so that the model's seconds begin with a real server's."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def unix(self) -> float:
        return time.time()


class Link:
    """A connection to a real server."""

    def __init__(self, server: MemcachedServer) -> None:
        self._socket = socket.create_connection((server.host, server.port), timeout=10)

    def say(self, request: bytes) -> bytes:
        """The reply to one request, to the last byte."""
        self._socket.sendall(request + MARK)
        received = bytearray()
        while not received.endswith(MARKED):
            data = self._socket.recv(1 << 16)
            assert data, received
            received += data
        return bytes(received[: -len(MARKED)])

    def dump(self, request: bytes, end: bytes) -> bytes:
        self._socket.sendall(request)
        received = bytearray()
        while not received.endswith(end):
            received += self._socket.recv(1 << 16)
        return bytes(received)

    def stat(self, name: str) -> int:
        found = re.search(rb"STAT %b (\d+)\r\n" % name.encode(), self.say(b"stats\r\n"))
        assert found is not None
        return int(found[1])

    def close(self) -> None:
        self._socket.close()


class Twins:
    """A real server and a model of its version, whose clocks' seconds begin together."""

    def __init__(self, limits: Limits, *options: str) -> None:
        self._real = MemcachedServer(*arguments(limits), *options).start()
        self.link = Link(self._real)
        self.clock = MovedClock()
        self.model = ModelServer(self.clock, memcached_version(), limits)
        self._began = time.monotonic()
        self.talk = self.model.accept(("127.0.0.1", 1))
        self.align()

    def align(self) -> None:
        """Waits for a second of the real server's clock, whose timer is late by more each time."""
        uptime = self.link.stat("uptime")
        while self.link.stat("uptime") == uptime:
            time.sleep(0.002)
        self.aligned_at = time.monotonic()
        # An uptime begins at 2.
        self.clock.ahead_s = uptime + 1 - 2 - (self.aligned_at - self._began)

    def close(self) -> None:
        self.link.close()
        self._real.kill()

    def restart(self, end: Callable[[MemcachedServer], None]) -> None:
        """Ends both, and starts them with their items in a later second."""
        self.link.close()
        end(self._real)
        self.model.kill()
        time.sleep(1.1)
        self._real.start()
        self.link = Link(self._real)
        assert self.model.restart(keeps_items=True)
        self.talk = self.model.accept(("127.0.0.1", 1))

    def say(self, request: bytes) -> tuple[bytes, bytes]:
        """The answers of both, without what each has for itself."""
        theirs, ours = self.link.say(request), self.talk.receive(request)
        return FAR_AWAY.sub(b" t...", theirs), FAR_AWAY.sub(b" t...", ours)

    def level(self) -> None:
        """Brings both to the same CAS number, from which a difference may have led one away."""
        numbers = [int(reply.split(b"c")[1]) for reply in self.say(b"ms level 0 c\r\n\r\n")]
        behind = self.talk.receive if numbers[1] < numbers[0] else self.link.say
        behind(b"set level 0 0 0 noreply\r\n\r\n" * abs(numbers[0] - numbers[1]))


@contextlib.contextmanager
def twins(limits: Limits = DEFAULT, *options: str) -> Iterator[Twins]:
    """With more options for the real server."""
    pair = Twins(limits, *options)
    try:
        yield pair
    finally:
        pair.close()
