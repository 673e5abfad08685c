"""Histories that the engine's fuzz target once found to go wrong."""

import pytest

from mcroute.policy import Null, PoolRoute, Replicate

from .network import network, pool

pytestmark = pytest.mark.usefixtures("driver")


@pytest.mark.parametrize(
    ("request_bytes", "reply"),
    [
        (b"delete k\r\n", b"STORED\r\n"),
        (b"set k 0 0 1\r\nx\r\n", b"DELETED\r\n"),
        (b"incr k 1\r\n", b"TOUCHED\r\n"),
        (b"touch k 1\r\n", b"7\r\n"),
        (b"flush_all\r\n", b"NOT_FOUND\r\n"),
        (b"delete k\r\n", b"NF O1\r\n"),
    ],
)
def test_a_reply_that_no_server_gives_to_the_command_ends_the_link(
    request_bytes: bytes, reply: bytes
) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, request_bytes)
    net.reply(0, reply)
    assert net.closed == [net.links[0]]
    assert net.got(client).startswith(b"SERVER_ERROR ")


def test_requests_that_waited_for_room_are_overdue_in_time() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"get k\r\n" * 3000)
    replies = b""
    for _ in range(6):
        net.wait(1.0)
        replies += net.got(client)
    assert replies.count(b"SERVER_ERROR ") == 3000


def test_an_engine_is_freed_with_requests_that_would_fail_over() -> None:
    net = network(Replicate(pool(3), copies=3), 3)
    for _ in range(10):
        net.send(net.client(), b"get a b c d e\r\nset k 0 0 1\r\nx\r\n")
    del net


def test_nothing_to_flush_is_flushed() -> None:
    net = network(Null(), 0)
    client = net.client()
    net.send(client, b"flush_all\r\n")
    assert net.got(client) == b"OK\r\n"


def test_the_delete_of_another_copy_of_a_base64_key_carries_an_opaque() -> None:
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"ma Zm9v b v\r\n")
    asked = [net.asked(0), net.asked(1)]
    first = 0 if asked[0] else 1
    net.reply(first, b"VA 1 b O1\r\n5\r\n")
    assert net.asked(1 - first) == b"md Zm9v b O2\r\n"
    assert net.got(client) == b""
    net.reply(1 - first, b"NF O2\r\n")
    assert net.got(client) == b"VA 1 b\r\n5\r\n"
