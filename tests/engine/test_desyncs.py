"""A desync is kept for the log: the server, the command, the first bytes of the reply."""

import pytest

from mcroute.policy import PoolRoute

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")


def test_the_first_of_several_desyncs_is_kept_with_their_number() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    for reply in (b"VALUE other 0 1\r\nx\r\nEND\r\n", b"nonsense " + b"x" * 100 + b"\r\n"):
        net.send(client, b"get k\r\nget k\r\n")
        net.reply(0, reply)
        net.lose(0) if net.links[0] not in net.closed else None
        net.got(client)
        net.engine.open_link(0)
        net.engine.link_connected(net.links[0])
        net.closed.clear()
    assert net.engine.losses().desyncs == 2
    (desync,) = net.engine.take_desyncs()
    assert (desync.server, desync.times, desync.command, desync.depth) == (0, 2, "get", 2)
    assert desync.text == b"VALUE other 0 1\r\nx\r\nEND\r\n"
    assert net.engine.take_desyncs() == []


@pytest.mark.parametrize("unasked", [b"STORED\r\n", b"x", b"VALUE k 0 1\r\nx\r\nEND\r\n"])
def test_an_unasked_reply_is_a_desync(unasked: bytes) -> None:
    net = network(PoolRoute(pool(1)), 1)
    net.reply(0, unasked)
    assert net.links[0] in net.closed
    assert net.engine.snapshot().counters["desyncs"] == 1
    (desync,) = net.engine.take_desyncs()
    assert (desync.command, desync.depth, desync.text) == ("", 0, unasked)


def test_client_flags_of_64_bits_are_none() -> None:
    """A memcached may be built for them."""
    net = network(PoolRoute(pool(2)), 2)
    client = net.client()
    ring = pool(2).ring()
    key = next(key for key in (b"k%d" % i for i in range(9)) if ring.owner(key) == 0)
    value = b"VALUE %b 18446744073709551615 1\r\nx\r\n" % key
    for request, reply, seen in (
        (b"get %b" % key, value + b"END\r\n", value + b"END\r\n"),
        (b"get %b %b" % (key, key), value + value + b"END\r\n", value + value + b"END\r\n"),
        (b"mg %b v f" % key, b"VA 1 f4294967296 O%d\r\nx\r\n", b"VA 1 f4294967296\r\nx\r\n"),
    ):
        net.send(client, request + b"\r\n")
        asked = net.asked(0)
        net.reply(0, reply % int(asked.split(b" O")[1]) if b"%d" in reply else reply)
        assert net.got(client) == seen
    assert net.engine.snapshot().counters["desyncs"] == 0


@pytest.mark.parametrize("behind", [b"STORED\r\n", b"x"])
def test_bytes_behind_a_greeting_are_a_desync(behind: bytes) -> None:
    """It answers nothing, although a request waits already."""
    net = network(PoolRoute(pool(1)), 1)
    net.lose(0)
    net.links[0] = net.engine.open_link(0, script=((b"version\r\n", b"VERSION "),))
    net.engine.link_connected(net.links[0])
    client = net.client()
    net.send(client, b"get k\r\n")
    assert net.asked(0) == b"version\r\n"
    net.reply(0, b"VERSION 1.6.45\r\n" + behind)
    assert net.links[0] in net.closed
    assert net.got(client).startswith(b"SERVER_ERROR")
    assert net.engine.snapshot().counters["desyncs"] == 1
    (desync,) = net.engine.take_desyncs()
    assert (desync.server, desync.text) == (0, behind)


@pytest.mark.parametrize(
    ("request_", "flags_size", "refused"),
    [
        (b"set k 18446744073709551615 0 1\r\nx\r\n", 8, False),
        (b"set k 18446744073709551615 0 1\r\nx\r\n", 4, True),
        (b"set k 4294967296 0 1\r\nx\r\n", 4, True),
        (b"set k 4294967295 0 1\r\nx\r\n", 4, False),
        (b"set k 18446744073709551616 0 1\r\nx\r\n", 8, True),
    ],
)
def test_writes_have_flags_as_wide_as_their_server_keeps_them(
    request_: bytes, flags_size: int, refused: bool
) -> None:
    net = Network(PoolRoute(pool(1)), 1)
    net.engine.set_item_size_max(0, 1 << 20, flags_size)
    client = net.client()
    net.send(client, request_)
    if refused:
        assert net.got(client) == b"CLIENT_ERROR bad command line format\r\n"
        assert net.asked(0) == b""
    else:
        assert net.asked(0) == request_
        net.reply(0, b"STORED\r\n")
        assert net.got(client) == b"STORED\r\n"
    assert net.engine.snapshot().counters["desyncs"] == 0
