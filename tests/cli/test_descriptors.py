"""`mcroute proxy` with few descriptors: clients that wait do not get those of links that are made again."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mcroute.testing import MemcachedServer, find_memcached

from .loops import LOOPS

resource = pytest.importorskip("resource")

LIMIT = 64
KEYS = [b"k%d" % number for number in range(60)]
LIMIT_S = 40.0


def configure(path: Path, port: int, servers: list[MemcachedServer]) -> Path:
    addresses = ", ".join(f'"{server.address}"' for server in servers)
    path.write_text(
        f'[proxy]\nlisten = "127.0.0.1:{port}"\n[health]\nretry_base_s = 0.1\nretry_cap_s = 0.2\n'
        f"[pools.main]\nservers = [{addresses}]\nreply_timeout_s = 20\ndeadline_s = 20\n"
    )
    return path


def limited(limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


class Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT_S)
        self._lines = self.socket.makefile("rb")

    def ask(self, request: bytes, end: bytes = b"") -> list[bytes]:
        """The reply's lines, up to this one; or its only line."""
        self.socket.sendall(request)
        lines = [self._lines.readline()]
        while end and lines[-1] not in (end, b""):
            lines.append(self._lines.readline())
        return lines

    def stats(self, about: bytes = b"") -> dict[str, str]:
        rows = self.ask(b"stats %b\r\n" % about if about else b"stats\r\n", b"END\r\n")[:-1]
        return dict(row.decode().rstrip().split(maxsplit=2)[1:] for row in rows)

    def states(self) -> list[str]:
        return [value for name, value in self.stats(b"servers").items() if name.endswith(":state")]

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(find_memcached() is None, reason="no memcached")
@pytest.mark.parametrize("arguments", LOOPS)
def test_links_are_made_again_while_clients_wait(arguments: list[str], tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(MemcachedServer()) for _ in range(3)]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        config = configure(tmp_path / "mcroute.toml", port, servers)
        command = [sys.executable, *arguments, str(config)]
        process = stack.enter_context(
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=limited(LIMIT))
        )
        stack.callback(process.kill)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("mcroute listens")
        first = Client(port)
        stack.callback(first.close)
        # It is served before the others come: another thread could take all of them first.
        room = int(first.stats()["max_connections"])
        clients = [Client(port) for _ in range(LIMIT + 20)]
        for client in clients:
            stack.callback(client.close)
            client.socket.sendall(b"version\r\n")
        until(lambda: int(first.stats()["curr_connections"]) == room)
        for server in servers:
            server.kill()
            until(lambda: set(first.states()) != {"up"})
            # The proxy checks waiting clients meanwhile.
            time.sleep(0.5)
            server.start()
            until(lambda: set(first.states()) == {"up"})
        for key in KEYS:
            assert first.ask(b"set %b 0 0 1\r\nv\r\n" % key) == [b"STORED\r\n"]
            assert first.ask(b"get %b\r\n" % key, b"END\r\n")[1:] == [b"v\r\n", b"END\r\n"]
        assert int(first.stats()["curr_connections"]) == room
        # As served clients disconnect, all others are served.
        waiting = {client.socket: client for client in clients}
        while waiting:
            ready, _, _ = select.select(list(waiting), [], [], LIMIT_S)
            assert ready
            for one in ready:
                assert one.recv(100).startswith(b"VERSION")
                waiting.pop(one).close()


@pytest.mark.parametrize("arguments", LOOPS)
def test_too_low_a_limit_is_reported_at_the_start(arguments: list[str], tmp_path: Path) -> None:
    server = tmp_path / "mcroute.toml"
    server.write_text('[proxy]\nlisten = "127.0.0.1:1"\n[pools.main]\nservers = ["127.0.0.1:2"]\n')
    command = [sys.executable, *arguments, str(server)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, preexec_fn=limited(16), timeout=60)
    assert done.returncode == 2
    assert "the limit of 16 open descriptors (ulimit -n) is too low" in done.stderr, done.stderr
