"""The driver of docs/embedding.md over real memcacheds: bytes, pauses, ends of input, servers that return."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcroute.policy import Pool
from mcroute.testing import MemcachedServer, find_memcached
from tests.preloading import child_environment

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

DRIVER = Path(__file__).parents[2] / "examples" / "own_driver" / "driver.py"
TIMEOUT_S = 40.0
# A value may be any bytes: if its request were torn, the value would be read as a request.
VALUE = b"\r\nset admin 0 0 4\r\nevil\r\n"


class Proxy:
    """The example as a process."""

    def __init__(self, addresses: list[str]) -> None:
        command = [sys.executable, str(DRIVER), "0", *addresses]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=child_environment()
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def say(self, data: bytes, end: bytes = b"\r\n") -> bytes:
        with self.connect() as client:
            client.sendall(data)
            return read_until(client, end)

    def state(self, server: MemcachedServer) -> str:
        rows = self.say(b"stats\r\n", b"END\r\n").decode().splitlines()[:-1]
        return str(dict(row.split()[1:] for row in rows)[server.address])

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def read_until(client: socket.socket, end: bytes) -> bytes:
    read = b""
    while not read.endswith(end):
        data = client.recv(65536)
        assert data, read[-100:]
        read += data
    return read


def eventually(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    with MemcachedServer() as one, MemcachedServer() as other:
        yield [one, other]


@pytest.fixture
def proxy(servers: list[MemcachedServer]) -> Iterator[Proxy]:
    proxy = Proxy([server.address for server in servers])
    try:
        eventually(lambda: proxy.say(b"set first 0 0 1\r\nx\r\n") == b"STORED\r\n")
        yield proxy
    finally:
        proxy.close()


def ask(server: MemcachedServer, data: bytes, end: bytes = b"END\r\n") -> bytes:
    with socket.create_connection((server.host, server.port), timeout=TIMEOUT_S) as client:
        client.sendall(data)
        return read_until(client, end)


def test_pipelines_of_any_length_arrive_whole(proxy: Proxy) -> None:
    """The engine pauses the session at 1,000 or so; the driver then leaves the rest with the system."""
    count = 20_000
    sets = b"".join(b"set k%d 0 0 %d\r\n%b\r\n" % (i, len(VALUE), VALUE) for i in range(count))
    with proxy.connect() as client:
        client.setblocking(False)
        sent, replies = 0, bytearray()
        give_up_at = time.monotonic() + TIMEOUT_S
        while len(replies) < count * len(b"STORED\r\n"):
            assert time.monotonic() < give_up_at
            with contextlib.suppress(BlockingIOError):
                sent += client.send(sets[sent : sent + 65536]) if sent < len(sets) else 0
            try:
                replies += client.recv(65536)
            except BlockingIOError:
                time.sleep(0.001)
    assert replies == b"STORED\r\n" * count
    assert proxy.say(b"get admin k0 k19999\r\n", b"END\r\n").count(VALUE) == 2


def test_a_client_that_closes_its_sending_half_gets_all_replies(proxy: Proxy) -> None:
    with proxy.connect() as client:
        client.sendall(b"get first\r\n" * 3000)
        client.shutdown(socket.SHUT_WR)
        read = b""
        while data := client.recv(65536):
            read += data
    assert read == b"VALUE first 0 1\r\nx\r\nEND\r\n" * 3000


def test_a_server_that_was_stopped_returns_without_old_values(
    proxy: Proxy, servers: list[MemcachedServer]
) -> None:
    ring = Pool.of("main", [server.address for server in servers]).ring()
    keys = [key for key in (b"k%d" % i for i in range(40)) if ring.owner(key) == 0][:5]
    for key in keys:
        assert proxy.say(b"set %b 0 0 3\r\nold\r\n" % key) == b"STORED\r\n"
    servers[0].pause()
    try:
        eventually(lambda: proxy.say(b"set k 0 0 1\r\nx\r\n") and proxy.state(servers[0]) != "UP")
        for key in keys:
            assert proxy.say(b"set %b 0 0 3\r\nnew\r\n" % key) == b"STORED\r\n"
    finally:
        servers[0].resume()
    eventually(lambda: proxy.state(servers[0]) == "UP")
    for key in keys:
        assert b"old" not in proxy.say(b"get %b\r\n" % key, b"END\r\n")
        assert b"old" not in ask(servers[0], b"get %b\r\n" % key)
    # The server serves: new writes are stored there.
    assert proxy.say(b"set %b 0 0 5\r\nnewer\r\n" % keys[0]) == b"STORED\r\n"
    assert b"newer" in ask(servers[0], b"get %b\r\n" % keys[0])


def test_a_server_that_was_killed_is_done_without_and_returns(
    proxy: Proxy, servers: list[MemcachedServer]
) -> None:
    assert proxy.say(b"set k 0 0 1\r\nx\r\n") == b"STORED\r\n"
    servers[1].kill()
    eventually(lambda: proxy.say(b"set k 0 0 1\r\ny\r\n") == b"STORED\r\n")
    assert b"\r\ny\r\n" in proxy.say(b"get k\r\n", b"END\r\n")
    eventually(lambda: proxy.state(servers[1]) != "UP")
    servers[1].restart()
    eventually(lambda: proxy.state(servers[1]) == "UP")
    assert proxy.say(b"set k 0 0 1\r\nz\r\n") == b"STORED\r\n"
    for server in servers:
        assert b"\r\nz\r\n" in ask(server, b"get k\r\n")
