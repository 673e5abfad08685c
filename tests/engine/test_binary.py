"""Clients of the binary protocol are told, in it, that it is not spoken here."""

from __future__ import annotations

import struct

import pytest

from mcroute.policy import PoolRoute

from .network import network, pool

pytestmark = pytest.mark.usefixtures("driver")

HEADER = struct.Struct(">BBHBBHIIQ")
TEXT = b"mcroute speaks memcached's text protocol only"


def request(command: int, opaque: int, body: bytes = b"") -> bytes:
    return HEADER.pack(0x80, command, 0, 0, 0, 0, len(body), opaque, 0) + body


def refusal(command: int, opaque: int) -> bytes:
    return HEADER.pack(0x81, command, 0, 0, 0, 0x81, len(TEXT), opaque, 0) + TEXT


@pytest.mark.parametrize("command", [0x00, 0x0B, 0x11, 0x21])
@pytest.mark.parametrize("pieces", [1, 7])
def test_the_first_request_is_refused_by_its_opaque_and_the_connection_ends(
    command: int, pieces: int
) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    data = request(command, 0x01020304, b"k" * 40)
    step = len(data) // pieces + 1
    for at in range(0, len(data), step):
        assert net.closed == []
        net.send(client, data[at : at + step])
    assert net.got(client) == refusal(command, 0x01020304)
    assert net.closed == [client]
    assert net.engine.losses().refused_binary == 1
    assert net.engine.snapshot().counters["refused"] == 1


def test_a_value_is_read_before_the_connection_ends() -> None:
    """Else what the client goes on sending is answered by a reset, which may overtake the reply."""
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    data = request(0x01, 7, b"v" * 3_000_000)
    net.send(client, data[:100_000])
    assert net.got(client) == refusal(0x01, 7)
    assert net.closed == []
    net.send(client, data[100_000:] + request(0x0A, 8))
    assert net.got(client) == b""
    assert net.closed == [client]


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
