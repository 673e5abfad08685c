"""Memory that the engine lends: to read into, and to send from without a copy."""

import gc

import pytest

from mcroute._engine.engine import Engine
from mcroute.policy import PoolRoute, compile_plan

from .network import Network, pool

LARGE = b"v" * 100_000
REPLY = b"VALUE a 0 100000\r\n%s\r\nEND\r\n" % LARGE


def fill(net: Network, number: int, data: bytes, most: int) -> None:
    """As a driver that reads at most so much at a time."""
    while data:
        with net.engine.get_buffer(number) as room:
            size = min(len(room), most, len(data))
            room[:size] = data[:size]
        net.engine.received(number, size, net.now)
        data = data[size:]


def feed(net: Network, number: int, data: bytes) -> None:
    assert net.engine.receive(number, data, net.now)


@pytest.mark.parametrize("most", [1000, 65_536, 1 << 20])
def test_bytes_read_into_lent_room_are_sent_unchanged(most: int) -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client, (link,) = net.client(), net.links
    requests = b"set a 0 0 100000\r\n%s\r\nget a\r\n" % LARGE
    fill(net, client, requests, most)
    assert b"".join(net.engine.take_pieces(link)) == requests
    fill(net, link, b"STORED\r\n" + REPLY, most)
    assert b"".join(net.engine.take_pieces(client)) == b"STORED\r\n" + REPLY
    assert net.engine.take_pieces(client) == []


def test_a_line_without_an_end_is_not_read_byte_by_byte() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client = net.client()
    left, reads = b"get " + b"v" * 1_000_000, 0
    while left:
        with net.engine.get_buffer(client) as room:
            size = min(len(room), len(left))
            room[:size] = left[:size]
        net.engine.received(client, size, net.now)
        left, reads = left[size:], reads + 1
    # At least a few KiB at a time.
    assert reads < 1000


def test_large_values_are_lent_and_small_ones_joined() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client, (link,) = net.client(), net.links
    feed(net, client, b"touch a 0\r\ntouch a 0\r\nget a\r\nget a\r\ntouch a 0\r\n")
    feed(net, link, b"TOUCHED\r\nTOUCHED\r\n" + REPLY + b"END\r\nTOUCHED\r\n")
    first, value, *last = net.engine.take_pieces(client)
    assert first == b"TOUCHED\r\nTOUCHED\r\n"
    assert isinstance(value, memoryview) and value.readonly
    assert bytes(value) + b"".join(last) == REPLY + b"END\r\nTOUCHED\r\n"


def test_lent_memory_outlives_its_connections_and_the_engine() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client, (link,) = net.client(), net.links
    feed(net, client, b"get a\r\n")
    feed(net, link, REPLY)
    pieces = net.engine.take_pieces(client)
    net.engine.close(client, net.now)
    net.engine.close(link, net.now)
    del net
    gc.collect()
    assert b"".join(pieces) == REPLY


def test_a_paused_session_lends_nothing_until_it_goes_on() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client, (link,) = net.client(), net.links
    asked = 0
    while net.engine.get_buffer(client) is not None:
        fill(net, client, b"get a\r\n" * 100, 1 << 20)
        asked += 100
    replies = b""
    while len(replies) < asked * 5:
        open_ones = b"".join(net.engine.take_pieces(link)).count(b"get a\r\n")
        assert open_ones
        feed(net, link, b"END\r\n" * open_ones)
        replies += b"".join(net.engine.take_pieces(client))
    assert replies == b"END\r\n" * asked
    assert net.engine.get_buffer(client) is not None


def test_only_the_last_lent_room_is_accepted() -> None:
    engine = Engine(compile_plan(PoolRoute(pool(1))))
    one, other = engine.open_session(), engine.open_session()
    with pytest.raises(BufferError, match=f"no room is lent to connection {one}"):
        engine.received(one, 10, 0.0)
    engine.get_buffer(one)[:8] = b"version\n"
    room = engine.get_buffer(other)
    with pytest.raises(BufferError, match=f"no room is lent to connection {one}"):
        engine.received(one, 8, 0.0)
    assert engine.take_output(one) == b""
    with pytest.raises(ValueError, match="do not fit"):
        engine.received(other, len(room) + 1, 0.0)
