"""`mcroute proxy` and SIGHUP: what the log says, and what goes on."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcroute.testing import EmbeddedServer, free_port

from .loops import LOOPS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def text(port: int, *servers: EmbeddedServer) -> str:
    addresses = ", ".join(f'"{server.address}"' for server in servers)
    return f'[proxy]\nlisten = "127.0.0.1:{port}"\n[pools.main]\nservers = [{addresses}]\n'


@pytest.fixture
def servers() -> Iterator[tuple[EmbeddedServer, EmbeddedServer]]:
    with EmbeddedServer() as one, EmbeddedServer() as other:
        yield one, other


class Proxy:
    def __init__(self, process: subprocess.Popen[str], file: Path, port: int) -> None:
        self.process = process
        self.file = file
        self.port = port

    def line(self) -> str:
        """The next of the log, without its time."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().rstrip().split(" ", 2)[2]

    def reload(self, content: str) -> str:
        self.file.write_text(content)
        self.process.send_signal(signal.SIGHUP)
        return self.line()


@pytest.fixture(params=LOOPS)
def proxy(request, servers, tmp_path) -> Iterator[Proxy]:
    port = free_port()
    file = tmp_path / "mcroute.toml"
    file.write_text(text(port, servers[0]))
    command = [sys.executable, *request.param, str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith(f"mcroute listens on 127.0.0.1:{port} (")
            yield Proxy(process, file, port)
        finally:
            process.kill()


def ask(client: socket.socket, request: bytes) -> bytes:
    client.sendall(request)
    return client.recv(1000)


def stats_mcroute(client: socket.socket) -> bytes:
    client.sendall(b"stats mcroute\r\n")
    received = b""
    while not received.endswith(b"END\r\n"):
        received += client.recv(65536)
    return received


def test_a_client_that_stays_is_served_by_the_new_servers(proxy, servers):
    one, other = servers
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        assert ask(client, b"set k 0 0 1\r\nx\r\n") == b"STORED\r\n"
        changed = f"INFO reloaded: servers 1, +{other.address} -{one.address}"
        assert proxy.reload(text(proxy.port, other)) == changed
        assert ask(client, b"get k\r\n") == b"END\r\n"
        with socket.create_connection((one.host, one.port), timeout=10) as direct:
            # The link to the departed server is needed by no request, and is closed.
            while b"STAT curr_connections 1\r\n" not in ask(direct, b"stats\r\n"):
                pass
        assert proxy.reload(text(proxy.port, other)) == "INFO reloaded: servers 1, the same"
        # The departed server was flushed, like one that stayed.
        proxy.reload(text(proxy.port, one))
        assert ask(client, b"get k\r\n") == b"END\r\n"


def test_a_file_that_cannot_work_changes_nothing(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        assert ask(client, b"set k 0 0 1\r\nx\r\n") == b"STORED\r\n"
        assert proxy.reload("[pools.main]\nservers = ['a:0']") == (
            "ERROR reload failed, still using the previous configuration: "
            f"{proxy.file}: pools.main.servers[0]: port 0 is not between 1 and 65535"
        )
        assert ask(client, b"get k\r\n") == b"VALUE k 0 1\r\nx\r\nEND\r\n"
        assert b"STAT config_reload_failures_total 1\r\n" in stats_mcroute(client)
        proxy.file.unlink()
        proxy.process.send_signal(signal.SIGHUP)
        assert proxy.line().startswith("ERROR reload failed, still using the previous configuration: ")
        assert ask(client, b"get k\r\n") == b"VALUE k 0 1\r\nx\r\nEND\r\n"


def test_other_metrics_take_a_restart(proxy, servers):
    other = f"127.0.0.1:{free_port()}"
    metrics = f'[proxy]\nmetrics = "{other}"\n'
    assert proxy.reload(text(proxy.port, *servers).replace("[proxy]\n", metrics)).startswith("INFO reloaded")
    assert proxy.line() == f"WARNING proxy.metrics: {other} instead of the default needs a restart"


def test_another_port_takes_a_restart_and_the_rest_does_not(proxy, servers):
    assert proxy.reload(text(1, *servers)).startswith("INFO reloaded: servers 2, +")
    assert proxy.line() == (
        f"WARNING proxy.listen: 127.0.0.1:1 instead of 127.0.0.1:{proxy.port} needs a restart"
    )
    socket.create_connection(("127.0.0.1", proxy.port), timeout=10).close()
