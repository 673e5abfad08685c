"""A proxy inside a process that does something else."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("mcroute._loop.threads", reason="no epoll")

from mcroute.errors import ConfigError
from mcroute.native import Proxy
from mcroute.policy import Pool, PoolRoute
from mcroute.proxy.state_file import StateFile
from mcroute.testing import EmbeddedServer
from tests.preloading import child_environment


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


def route(*servers: EmbeddedServer) -> PoolRoute:
    return PoolRoute(Pool.of("main", [server.address for server in servers]))


def ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(4096), b""))


def test_it_serves_until_it_is_stopped(server: EmbeddedServer) -> None:
    with Proxy(route(server), threads=2) as proxy:
        assert ask(proxy.port, b"set k 0 0 1\r\nx\r\nget k\r\n") == b"STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n"
        assert proxy.stats().snapshot.counters["requests"] == 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    # A second stop has no effect, and the proxy may be started again.
    proxy.stop()
    proxy.start()
    assert ask(proxy.port, b"get k\r\n") == b"VALUE k 0 1\r\nx\r\nEND\r\n"
    proxy.stop()


def test_another_plan(server: EmbeddedServer) -> None:
    with EmbeddedServer() as other, Proxy(route(server), threads=1) as proxy:
        ask(proxy.port, b"set k 0 0 1\r\nx\r\n")
        proxy.reload(route(other))
        assert ask(proxy.port, b"get k\r\n") == b"END\r\n"
        proxy.reload(route(server))


def test_calls_of_a_proxy_that_does_not_run_raise(server: EmbeddedServer) -> None:
    proxy = Proxy(route(server))
    for call in (proxy.stats, lambda: proxy.reload(route(server))):
        with pytest.raises(RuntimeError, match="not running"):
            call()
    proxy.stop()
    with proxy, pytest.raises(RuntimeError, match="already running"):
        proxy.start()


def test_a_port_that_somebody_has_is_refused(server: EmbeddedServer) -> None:
    with Proxy(route(server), threads=2) as proxy:
        again = Proxy(route(server), port=proxy.port, threads=2)
        with pytest.raises(OSError, match="in use"):
            again.start()
        again.stop()


def test_nothing_is_left_of_one_that_was_stopped(server: EmbeddedServer) -> None:
    proxy = Proxy(route(server))
    proxy.start()
    proxy.stop()
    watched = weakref.ref(proxy)
    del proxy
    gc.collect()
    assert watched() is None


FORGETFUL = """
import sys
from mcroute.native import Proxy
from mcroute.proxy.state_file import StateFile
from mcroute.errors import ConfigError
from mcroute.policy import Pool, PoolRoute
proxy = Proxy(PoolRoute(Pool.of("main", sys.argv[1:])), threads=2)
proxy.start()
print(proxy.port)
"""


def test_a_process_ends_although_nobody_stops_it(server: EmbeddedServer) -> None:
    command = [sys.executable, "-c", FORGETFUL, server.address]
    done = subprocess.run(command, capture_output=True, timeout=50, check=True, env=child_environment())
    assert done.stderr == b""


def test_it_keeps_a_state_file_and_descriptors(server: EmbeddedServer, tmp_path: Path) -> None:
    path = tmp_path / "proxy.state"
    with (
        Proxy(route(server), threads=1, state_file=path, first_use="flush", descriptors=100) as proxy,
        pytest.raises(OSError, match="another proxy uses it"),
    ):
        assert b"STAT max_connections " in ask(proxy.port, b"stats\r\n")
        # It is flushed first.
        while ask(proxy.port, b"get k\r\n") != b"END\r\n":
            time.sleep(0.01)
        Proxy(route(server), threads=1, state_file=path).start()
    # The proxy ended in order: the next one flushes nothing.
    ask(server.port, b"set k 0 0 1\r\nx\r\n")
    with Proxy(route(server), threads=1, state_file=path, first_use="flush") as proxy:
        assert ask(proxy.port, b"get k\r\n") == b"VALUE k 0 1\r\nx\r\nEND\r\n"


def test_without_descriptors_enough_it_does_not_start(server: EmbeddedServer, tmp_path: Path) -> None:
    path = tmp_path / "proxy.state"
    with pytest.raises(ConfigError, match="the limit of 5 open descriptors"):
        Proxy(route(server), threads=1, state_file=path, descriptors=5).start()
    # No process has locked the file.
    StateFile(str(path)).close()
