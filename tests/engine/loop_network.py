"""The same network around a native loop that the test steps: its sockets are real, its time is not."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path

import pytest

from mcroute._engine.snapshots import Snapshot
from mcroute._loop.threads import LoopThread
from mcroute.drivers.native.engine import NativeEngine
from mcroute.policy import ServerOptions, Upkeep, compile_plan

TURNS_MAX = 10_000
HELLO, GREETING = b"version\r\n", b"VERSION 1.6\r\n"
CLIENTS = 1000  # their numbers begin there
NOON = 100.0


class Peer:
    """One end of a connection, as a test plays it."""

    def __init__(self, end: socket.socket, hello: bytes = b"") -> None:
        end.setblocking(False)
        self.end = end
        self.unsent = b""
        self._hello = hello  # comes first, and is answered at once

    def push(self) -> bool:
        """Sends what there is room for. Whether that was anything."""
        sent = 0
        if self.unsent:
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                sent = self.end.send(self.unsent)
        self.unsent = self.unsent[sent:]
        return sent > 0

    def pull(self) -> bytes | None:
        """The received bytes, perhaps none; None at the end."""
        try:
            data = self.end.recv(1 << 20)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            return None
        if data and self._hello:
            assert data.startswith(self._hello)
            data = data[len(self._hello) :]
            self._hello = b""
            self.unsent += GREETING
            self.push()
            return data
        return data or None


class LoopEngine(NativeEngine):
    """A loop's engine as tests ask it. Only the Python face has the methods that are missing here."""

    def __init__(self, loop: LoopThread, net: LoopNetwork) -> None:
        super().__init__((loop,))
        self._loop = loop
        self._net = weakref.ref(net)
        self.take_deferred, self.answer = loop.take_deferred, loop.answer

    def __getattr__(self, name: str) -> object:
        pytest.skip(f"Engine.{name} is of the engine's Python face")

    def snapshot(self) -> Snapshot:
        return self._loop.snapshot()

    def counters(self) -> dict[str, int]:
        return self.snapshot().counters

    def ejections(self) -> int:
        return self.counters()["ejections"]

    def close(self, number: int, now: float) -> None:
        self._network().close(number)

    def open_link(self, server: int, index: int = 0, script: object = None) -> int:
        """The server takes connections again, and has one at once."""
        if index or script is not None:
            pytest.skip("how many links there are, and their handshake, are the loop's own")
        self._network().come_back(server)
        return server

    def link_connected(self, number: int) -> None:
        """It is already."""

    def _network(self) -> LoopNetwork:
        net = self._net()
        assert net is not None
        return net


class LoopNetwork:
    """As `Network`. A server that is lost refuses connections; who connects has been greeted already.

    `shared` is a loop that has stepped, and the engine of several that it is one of; see `pair`.
    """

    def __init__(
        self, route: object, servers: int, shared: tuple[LoopThread, NativeEngine, int] | None = None
    ) -> None:
        self.now = NOON
        self.sent: dict[int, bytes] = {}
        self.closed: list[int] = []
        self.links = list(range(servers))
        self._room = Path(tempfile.mkdtemp())
        self._peers: dict[int, Peer] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._clients = CLIENTS
        self._bell = new_bell() if shared is None else shared[2]
        # Not by a method of its own, which would keep it.
        weakref.finalize(self, _close, self._peers, self._listeners, self._room, self._bell)
        if shared is None:
            self._loop = LoopThread(self._bell, 7)
            self._loop.step(self.now)
            self.engine: NativeEngine = LoopEngine(self._loop, self)
            self.engine.install(compile_plan(route))
        else:
            self._loop, self.engine, _ = shared
        for server in self.links:
            self._listen(server)
            self._loop.connect(server, ServerOptions(), [str(self._room / str(server))], Upkeep())
        self.turn()
        self.sent.clear()

    # ---- servers ----

    def _listen(self, server: int) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._room / str(server)))
        listener.listen()
        listener.setblocking(False)
        self._listeners[server] = listener

    def _accept(self) -> bool:
        """Whether anybody has come."""
        has_come = False
        for server, listener in self._listeners.items():
            with contextlib.suppress(BlockingIOError):
                self._peers[server] = Peer(listener.accept()[0], HELLO)
                has_come = True
        return has_come

    def counted(self, server: int) -> Mapping[str, int]:
        """By this loop alone."""
        return self._loop.snapshot().servers[f"s{server}"].counters

    def is_connected(self, server: int) -> bool:
        return all(link.is_connected for link in self._loop.links([server])[0])

    def listen(self, server: int) -> None:
        """The server accepts connections again; no link is notified."""
        self._listen(server)

    def lose(self, server: int) -> None:
        self.close(server)
        self.turn()

    def come_back(self, server: int) -> None:
        if server not in self._listeners:
            self._listen(server)
            self.engine.retry_now(server)
            self.turn()

    # ---- connections ----

    def client(self) -> int:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._clients += 1
        self._peers[self._clients] = Peer(ours)
        os.write(self._loop.accepted_in(), struct.pack("i", theirs.detach()))
        self._loop.step(self.now)
        return self._clients

    def close(self, number: int) -> None:
        if number in self._listeners:
            self._listeners.pop(number).close()
            os.unlink(self._room / str(number))
        if number in self._peers:
            self._peers.pop(number).end.close()
            self._loop.step(self.now)

    def send(self, number: int, data: bytes) -> None:
        self._peers[number].unsent += data
        self.turn()

    def reply(self, server: int, data: bytes) -> None:
        self.send(server, data)

    def got(self, number: int) -> bytes:
        return self.sent.pop(number, b"")

    def asked(self, server: int) -> bytes:
        return self.got(self.links[server])

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.turn()

    # ---- time ----

    def give(self, number: int, data: bytes) -> None:
        """As `send`, but the loop makes no turn by itself."""
        self._peers[number].unsent += data

    def step(self) -> int:
        """One turn. How many sockets were ready."""
        self._exchange()
        ready = self._loop.step(self.now)
        self._exchange()
        return ready

    def turn(self) -> None:
        """Turns until there is nothing more to do."""
        quiet = 0
        for _ in range(TURNS_MAX):
            is_busy = self._accept()
            is_busy |= self._exchange()
            self._loop.run_routes(self.now)
            is_busy |= self._loop.step(self.now) > 0
            quiet = 0 if is_busy else quiet + 1
            if quiet == 2:
                return
        raise AssertionError("the loop finds no rest")

    def _exchange(self) -> bool:
        """Bytes of all peers; whether there were any."""
        is_busy = False
        for number, peer in list(self._peers.items()):
            is_busy |= peer.push()
            data = peer.pull()
            if data is None:
                self._peers.pop(number).end.close()
                self.closed.append(number)
            elif data:
                self.sent[number] = self.sent.get(number, b"") + data
            is_busy |= data != b""
        return is_busy


def pair(route: object, servers: int) -> tuple[LoopNetwork, LoopNetwork]:
    """Two networks, whose loops share their servers' words; each has its own connection to each server."""
    notify_fds = [new_bell(), new_bell()]
    loops = [LoopThread(notify_fd, 7 + notify_fd) for notify_fd in notify_fds]
    for loop in loops:
        loop.step(NOON)
    engine = NativeEngine(loops)
    engine.install(compile_plan(route))
    first, second = (
        LoopNetwork(route, servers, (loop, engine, notify_fd))
        for loop, notify_fd in zip(loops, notify_fds, strict=True)
    )
    return first, second


def new_bell() -> int:
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def _close(peers: dict[int, Peer], listeners: dict[int, socket.socket], room: Path, notify_fd: int) -> None:
    for end in (*(peer.end for peer in peers.values()), *listeners.values()):
        end.close()
    shutil.rmtree(room)
    os.close(notify_fd)
