"""`mcroute explain --live`: a running proxy says which servers are out, and why."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcroute.cli.commands import mcroute
from mcroute.monitoring.asking import NoProxy
from mcroute.monitoring.servers import ask_servers
from mcroute.policy import Server
from mcroute.testing import free_port

CONFIG = """
proxy.listen = "127.0.0.1:{port}"
[pools.main]
servers = ["a:1", "b:1", "c:1"]
copies = 2
"""
ROWS = {
    "state": "up",
    "fault": "none",
    "cause": "none",
    "reason": "none",
    "requests": "120",
    "unanswered": "1",
    "timeouts": "0",
    "hedges": "7",
    "journal_keys": "0",
}
SLOW = "it is slower than the other servers of its pool: p25 23 ms over 180 replies, the others' 0.4 ms"
OUT = {"state": "ejected", "cause": "latency", "reason": SLOW, "fault": SLOW, "journal_keys": "12"}


def reply(out: str = "", servers: str = "abc") -> bytes:
    rows = {f"{name}:1": {**ROWS, **(OUT if name == out else {})} for name in servers}
    lines = (f"STAT {name}:{what} {value}\r\n" for name, own in rows.items() for what, value in own.items())
    return "".join([*lines, "END\r\n"]).encode()


@contextmanager
def answering(text: bytes | None) -> Iterator[int]:
    """A server that answers each connection with this text, a few bytes at a time; None: never."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as client:
                assert client.recv(100) == b"stats servers\r\n"
                for start in range(0, len(text or b""), 7):
                    client.sendall((text or b"")[start : start + 7])
                client.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def explain(tmp_path: Path, port: int, *arguments: str) -> Result:
    config = tmp_path / "mcroute.toml"
    config.write_text(CONFIG.format(port=port))
    return CliRunner().invoke(mcroute, ["explain", str(config), *arguments])


def test_a_server_that_is_out_is_not_asked_and_its_figures_are_shown(tmp_path: Path) -> None:
    order = explain(tmp_path, 1, "k1").output.splitlines()[-1].removeprefix("servers: ").split(", ")
    with answering(reply(out=order[0][0])) as port:
        result = explain(tmp_path, port, "k1", "--live")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert f"ask {order[0]} (owner of main) - ejected, not asked: {SLOW}" in result.output
    assert lines[-1] == f"servers: {order[1]}"
    [header] = [line for line in lines if line.startswith("server ")]
    assert header.split()[:3] == ["server", "state", "requests"]
    [row] = [line for line in lines if line.startswith(order[0])]
    assert row.split()[1:7] == ["ejected", "120", "1", "0", "7", "12"]
    assert row.endswith(f"latency: {SLOW}")


def test_another_address_can_be_asked(tmp_path: Path) -> None:
    with answering(reply()) as port:
        result = explain(tmp_path, free_port(), "k1", "--live", "--at", f"127.0.0.1:{port}")
    assert result.exit_code == 0, result.output


def test_a_proxy_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    port = free_port()
    result = explain(tmp_path, port, "k1", "--live")
    assert result.exit_code == 1
    assert result.stderr == f"Error: no proxy answers at 127.0.0.1:{port}: Connection refused\n"


def test_a_proxy_that_hangs_is_an_error() -> None:
    late = r"has not answered `stats servers` within 0\.2 s"
    with answering(None) as port, pytest.raises(NoProxy, match=late):
        ask_servers(Server("proxy", "127.0.0.1", port), timeout_s=0.2)


@pytest.mark.parametrize("text", [b"ERROR\r\n", b"END\r\n", b"STAT x:state up\r\nEND\r\n"])
def test_another_service_is_an_error(text: bytes) -> None:
    with answering(text) as port, pytest.raises(NoProxy, match="does not answer `stats servers` as mcroute"):
        ask_servers(Server("proxy", "127.0.0.1", port), timeout_s=20)


def test_a_proxy_with_other_servers_is_an_error(tmp_path: Path) -> None:
    with answering(reply(servers="ab")) as port:
        result = explain(tmp_path, port, "k1", "--live")
    assert result.exit_code == 1
    assert "runs another configuration: it lacks c:1" in result.stderr


def test_an_address_without_live_is_a_mistake(tmp_path: Path) -> None:
    result = explain(tmp_path, 1, "k1", "--at", "127.0.0.1:1")
    assert (result.exit_code, result.stderr) == (2, "Error: --at needs --live\n")
