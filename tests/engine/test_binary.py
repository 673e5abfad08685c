"""Clients of the binary protocol get an error in that protocol; clients of others, one where possible."""

from __future__ import annotations

import struct

import pytest

from mcroute.policy import PoolRoute

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

HEADER = struct.Struct(">BBHBBHIIQ")
TEXT = b"mcroute speaks memcached's text protocol only"


def request(command: int, opaque: int, body: bytes = b"") -> bytes:
    return HEADER.pack(0x80, command, 0, 0, 0, 0, len(body), opaque, 0) + body


def refusal(command: int, opaque: int) -> bytes:
    return HEADER.pack(0x81, command, 0, 0, 0, 0x81, len(TEXT), opaque, 0) + TEXT


@pytest.mark.parametrize("command", [0x00, 0x0B, 0x0D, 0x11, 0x21])
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_request_is_refused_by_its_opaque(command: int, pieces: int) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    data = request(command, 0x01020304, b"k" * 40)
    step = len(data) // pieces + 1
    for at in range(0, len(data), step):
        net.send(client, data[at : at + step])
    assert net.got(client) == refusal(command, 0x01020304)
    assert net.closed == []
    assert net.engine.losses().refused_binary == 1
    assert net.engine.snapshot().counters["refused"] == 1


def test_each_request_is_refused_and_the_session_counts_once() -> None:
    """Some clients send many requests before they read, and wait for a reply to each of them."""
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    commands = [
        (0x01, b"k" * 9 + b"v" * 5000),
        (0x0D, b"k"),
        (0x0A, b""),
        (0x11, b"get k\r\nset k 0 0 1\r\na\r\n"),
    ] * 3
    data = b"".join(request(command, at, body) for at, (command, body) in enumerate(commands))
    expected = b"".join(refusal(command, at) for at, (command, _) in enumerate(commands))
    for at in range(0, len(data), 1000):
        net.send(client, data[at : at + 1000])
    assert net.got(client) == expected
    assert net.closed == []
    assert net.engine.losses().refused_binary == 1
    assert net.engine.snapshot().counters["refused"] == len(commands)
    assert net.asked(0) == b""


@pytest.mark.parametrize("quit_command", [0x07, 0x17])
def test_a_quit_is_refused_and_ends_the_connection(quit_command: int) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, request(0x00, 1, b"k") + request(quit_command, 2, b"xy")[:-1])
    assert net.got(client) == refusal(0x00, 1) + refusal(quit_command, 2)
    assert net.closed == []
    net.send(client, b"y" + request(0x0A, 3))
    assert net.got(client) == b""
    assert net.closed == [client]


def test_text_behind_a_binary_request_ends_the_connection() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, request(0x0A, 1) + b"version\r\n")
    assert net.got(client) == refusal(0x0A, 1)
    assert net.closed == [client]


def test_a_value_is_read_past_and_not_stored() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, HEADER.pack(0x80, 0x01, 0, 0, 0, 0, 3_000_000, 7, 0))
    assert net.got(client) == refusal(0x01, 7)
    for _ in range(30):
        net.send(client, b"v" * 100_000)
    net.send(client, request(0x0A, 8))
    assert net.got(client) == refusal(0x0A, 8)
    assert net.closed == []
    assert net.asked(0) == b""


def test_a_client_that_reads_nothing_is_read_no_further() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client, data, sent = net.client(), request(0x0D, 9, b"k") * 100, 0
    while net.engine.receive(client, data, 0.0) and sent < 200_000:
        sent += 100
    assert 0 < sent < 200_000
    net.turn()
    assert net.got(client) == refusal(0x0D, 9) * (sent + 100)
    assert net.engine.may_read(client)


def test_half_a_header_is_awaited() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"\x80\x0b")
    assert (net.got(client), net.closed) == (b"", [])


def test_later_on_it_is_a_line_like_any_other() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"version\r\n\x80abc\r\n")
    assert net.got(client) == b"VERSION 1.6.45\r\nERROR\r\n"
    assert net.engine.losses().refused_binary == 0


@pytest.mark.parametrize(
    ("begins", "protocol", "reply"),
    [
        (b"\x16\x03\x01\x02\x00", "tls", b""),
        (b"*1\r\n$4\r\nPING\r\n", "resp", b"-ERR mcroute speaks memcached's text protocol only\r\n"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "ssh", b""),
        (b"GET / HTTP/1.1\r\n", "", b""),
    ],
)
def test_other_protocols_are_counted_each_by_itself(begins: bytes, protocol: str, reply: bytes) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, begins)
    assert net.got(client) == reply
    assert net.closed == [client]
    losses = net.engine.losses()
    for name in ("tls", "resp", "ssh", "binary"):
        assert getattr(losses, f"refused_{name}") == (name == protocol)
