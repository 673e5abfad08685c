"""`mcroute proxy` as a process: it serves, and a signal ends it in peace. With uvloop and without."""

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcroute.testing import EmbeddedServer

from .loops import LOOPS


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def configure(path: Path, server: str, port: int) -> Path:
    # Long, for a slow machine: no test waits for one of these times.
    timeouts = "reply_timeout_s = 20\ndeadline_s = 20\n"
    listen = f'[proxy]\nlisten = "127.0.0.1:{port}"\ndrain_timeout_s = 20\n'
    path.write_text(f'{listen}[pools.main]\nservers = ["{server}"]\n{timeouts}')
    return path


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture(params=LOOPS)
def proxy(
    request: pytest.FixtureRequest, server: EmbeddedServer, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_port()
    config = configure(tmp_path / "mcroute.toml", server.address, port)
    command = [sys.executable, *request.param, str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith(f"mcroute listens on 127.0.0.1:{port} (")
            yield process, port
        finally:
            process.kill()


def ask(client: socket.socket, request: bytes, reply: bytes) -> None:
    client.sendall(request)
    received = b""
    while len(received) < len(reply):
        block = client.recv(100)
        assert block, received
        received += block
    assert received == reply


def await_refusal(port: int) -> None:
    with pytest.raises(OSError):
        while True:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()


def test_the_proxy_serves(proxy):
    _, port = proxy
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        ask(client, b"set k 0 0 1\r\nx\r\n", b"STORED\r\n")
        ask(client, b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n")


def test_the_proxy_serves_metrics_at_the_given_address(server, tmp_path):
    port, metrics_port = free_port(), free_port()
    config = configure(tmp_path / "mcroute.toml", server.address, port)
    metrics = f'[proxy]\nmetrics = "127.0.0.1:{metrics_port}"\n'
    config.write_text(config.read_text().replace("[proxy]\n", metrics))
    command = [sys.executable, "-m", "mcroute", "proxy", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith(f"mcroute listens on 127.0.0.1:{port} (")
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=20) as page:
                assert b"\nmcroute_up 1.0\n" in page.read()
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_proxy_when_received_requests_are_answered(proxy, server, number):
    process, port = proxy
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        ask(client, b"set k 0 0 1\r\nx\r\n", b"STORED\r\n")
        server.pause()
        client.sendall(b"get k\r\nget k\r\n")
        # Its answer to another session's version shows that the proxy has read what came before.
        with socket.create_connection(("127.0.0.1", port), timeout=10) as other:
            other.sendall(b"version\r\n")
            assert other.recv(100).startswith(b"VERSION")
        process.send_signal(number)
        # The listener closes first: then the proxy is draining, and only then may the server answer.
        await_refusal(port)
        server.resume()
        ask(client, b"", b"VALUE k 0 1\r\nx\r\nEND\r\n" * 2)
        assert client.recv(1) == b""
    assert process.wait(timeout=20) == 0
    assert process.stderr.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_second_signal_ends_the_proxy_at_once(proxy, server):
    process, port = proxy
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        ask(client, b"set k 0 0 1\r\nx\r\n", b"STORED\r\n")
        server.pause()
        client.sendall(b"get k\r\n")
        process.send_signal(signal.SIGTERM)
        await_refusal(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == -signal.SIGTERM
    server.resume()
    # An answer shows that the server has executed the proxy's last requests, and is idle.
    with socket.create_connection((server.host, server.port), timeout=10) as direct:
        ask(direct, b"get other\r\n", b"END\r\n")
        server.kill()


def test_an_address_that_is_taken_is_named(server, tmp_path):
    config = configure(tmp_path / "mcroute.toml", server.address, int(server.address.rpartition(":")[2]))
    command = [sys.executable, "-m", "mcroute", "proxy", str(config)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: cannot listen on {server.address}: ")
    assert "Traceback" not in result.stderr
