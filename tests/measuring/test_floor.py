"""The floors route correctly, whatever is switched on: what they cost is the cost of right answers."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benches.proxies.building import SWITCHES, compiled_floor
from benches.proxies.peers import PEERS
from benches.proxies.processes import Program
from mcroute.testing import EmbeddedServer, free_port

from .lying import LyingServer, block

Load = Callable[..., dict[str, Any]]
KEYS = ("--keys", "200", "--prefix", "k", "--size", "0:3000")
KINDS = [peer.floor for peer in PEERS.values() if peer.floor is not None and "servers" not in peer.name]
CAREFUL = SWITCHES[:4]


@contextmanager
def floor(programs: Path, switches: tuple[str, ...], ports: list[int]) -> Iterator[tuple[int, Program]]:
    port = free_port()
    command = [str(compiled_floor(*switches, where=programs)), str(port), *map(str, ports)]
    with Program(command, frozenset(os.sched_getaffinity(0)), programs / f"{port}.log") as program:
        program.wait_until_it_listens(port)
        yield port, program


@pytest.fixture
def servers() -> Iterator[list[EmbeddedServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(EmbeddedServer()) for _ in range(3)]


@pytest.mark.parametrize("switches", dict.fromkeys(KINDS), ids="-".join)
def test_every_floor_answers_right(
    switches: tuple[str, ...], servers: list[EmbeddedServer], programs: Path, load: Load
) -> None:
    with floor(programs, switches, [server.port for server in servers]) as (port, _):
        assert load(port, *KEYS, "--fill", "--connections", "2", "--depth", "16")["status"] == 0
        for options in (
            "--connections 20 --sets 10",
            "--connections 5 --sets 10 --depth 16 --window",
            "--connections 5 --multiget 24 --depth 3",
        ):
            report = load(port, *KEYS, *shlex.split(options), "--seconds", "5", "--requests", "200")
            assert report["status"] == 0, report
        assert ("KEY_ORDER" in switches) == (report["out_of_order"] == 0)
    assert all(len(server.store.items) > 20 for server in servers)


def test_misses_leave_the_others_in_order(servers: list[EmbeddedServer], programs: Path) -> None:
    names = [b"key-%d" % i for i in range(12)]
    here = names[::2]
    wanted = b"".join(block(name, b"7", name) for name in here) + b"END\r\n"
    with (
        floor(programs, SWITCHES, [server.port for server in servers]) as (port, _),
        socket.create_connection(("127.0.0.1", port), 5) as client,
        client.makefile("rb") as replies,
    ):
        for name in here:
            client.sendall(b"set %s 7 0 %d\r\n%s\r\n" % (name, len(name), name))
            assert replies.readline() == b"STORED\r\n"
        client.sendall(b"get %s\r\n" % b" ".join(names))
        assert replies.read(len(wanted)) == wanted


def test_values_too_large_for_one_read_pass(
    servers: list[EmbeddedServer], programs: Path, load: Load
) -> None:
    large = ("--keys", "5", "--size", "300000")
    mixed = ("--connections", "3", "--requests", "40", "--seconds", "5", "--sets", "30")
    with floor(programs, CAREFUL, [server.port for server in servers]) as (port, _):
        assert load(port, *large, "--fill", "--depth", "3")["status"] == 0
        report = load(port, *large, *mixed)
        assert report["status"] == 0, report


def test_histograms_count_every_request(servers: list[EmbeddedServer], programs: Path, load: Load) -> None:
    with floor(programs, CAREFUL, [servers[0].port]) as (port, program):
        assert load(port, *KEYS, "--fill")["requests"] == 200
    line = program.log.read_text().splitlines()[0]
    assert line.startswith("server 0 set: 200, p50 ")


@pytest.mark.parametrize(
    ("switch", "reply", "complaint"),
    [
        ("KEY_CHECK", block(b"other", b"0", b"value") + b"END\r\n", "a value that was not asked for"),
        ("VALIDATION", b"VALUE key 0 5\r\nvalueEND\r\n", "not a value"),
        ("VALIDATION", b"VALUE key 0 x\r\n", "not a number"),
        ("VALIDATION", b"STORED\r\n", "another reply"),
        ("DEADLINES", b"", "a request has timed out"),
    ],
)
def test_each_switch_turns_on_its_check(switch: str, reply: bytes, complaint: str, programs: Path) -> None:
    with (
        LyingServer() as server,
        floor(programs, (switch,), [server.port]) as (port, program),
        socket.create_connection(("127.0.0.1", port), 5) as client,
    ):
        server.values[b"key"] = b"0", b"value"
        server.reply = lambda hits: reply
        client.sendall(b"get key\r\n")
        assert client.recv(100) == b""
    assert program.log.read_text() == f"floor: {complaint}\n"
