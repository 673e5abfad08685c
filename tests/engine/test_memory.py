"""When memory is exhausted, the client with most of it is closed; links and servers never are."""

from __future__ import annotations

import pytest

from mcroute.policy import Limits, PoolRoute, Replicate

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

SHARE = 4 << 20  # the least
MANY = 1 << 20


def small(route: object, servers: int, **shares: int) -> Network:
    net = network(route, servers)
    net.engine.set_limits(
        Limits(
            request_memory_max=shares.get("requests", SHARE),
            reply_memory_max=shares.get("replies", SHARE),
            link_memory_max=shares.get("links", SHARE),
        )
    )
    return net


def counters(net: Network) -> dict[str, int]:
    return dict(net.engine.snapshot().counters)


def works(net: Network) -> None:
    client = net.client()
    net.send(client, b"set k 0 0 1\r\nx\r\n")
    net.reply(0, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    net.send(client, b"get k\r\n")
    net.reply(0, b"VALUE k 0 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE k 0 1\r\nx\r\nEND\r\n"
    assert not set(net.closed) & set(net.links)
    assert net.engine.server_state(0) == 0


def test_announced_values_take_no_memory() -> None:
    net = small(PoolRoute(pool(1)), 1)
    for _ in range(500):
        net.send(net.client(), b"set k 0 0 1000000\r\nxyz")
    assert counters(net)["request_bytes"] < 500 * 8192
    works(net)


def test_memory_of_a_value_grows_with_its_received_bytes() -> None:
    net = small(PoolRoute(pool(1)), 1)
    client = net.client()
    value = bytes(range(256)) * 4000
    request = b"set k 0 0 %d\r\n%s\r\n" % (len(value), value)
    for at in range(0, len(request), 3001):
        net.send(client, request[at : at + 3001])
        assert counters(net)["request_bytes"] <= 4 * (at + 3001) + 80_000
    assert net.asked(0) == request


def test_the_longest_value_on_its_way_gives_way() -> None:
    net = small(PoolRoute(pool(1)), 1)
    hoarders = [net.client() for _ in range(8)]
    for client in hoarders:
        net.send(client, b"set h 0 0 1000000\r\n" + b"x" * 600_000)
    assert counters(net)["request_bytes"] <= SHARE
    deletes = net.asked(0).count(b"md h ")  # of the old values
    net.reply(0, b"".join(b"HD O%d\r\n" % (i + 1) for i in range(deletes)))
    refused = [client for client in hoarders if net.got(client)]
    assert 0 < len(refused) == deletes < len(hoarders)
    works(net)
    for client in refused:  # read past, and in step
        net.send(client, b"x" * 400_000 + b"\r\nversion\r\n")
        assert net.got(client) == b"VERSION 1.6.45\r\n"


def test_lines_without_an_end_cannot_be_refused_and_are_hung_up_on() -> None:
    net = small(PoolRoute(pool(1)), 1)
    clients = [net.client() for _ in range(20)]
    for client in clients:
        net.send(client, b"get " + b"k" * 200 + b" k" * 300_000)
    assert counters(net)["request_bytes"] <= SHARE + 200_000
    assert set(net.closed) <= set(clients)
    works(net)


def test_only_a_client_that_reads_nothing_is_closed() -> None:
    net = small(PoolRoute(pool(1)), 1)
    # Replies that the client does not read are not flushed.
    slow = net.client()
    net.engine.receive(slow, b"get k\r\n" * 40, net.now)
    for link in net.engine.take_dirty():
        net.engine.take_output(link)
    item = b"VALUE k 0 300000\r\n%s\r\nEND\r\n" % (b"x" * 300_000)
    for _ in range(40):
        net.engine.receive(net.links[0], item, net.now)
    assert counters(net)["reply_bytes"] <= SHARE + MANY
    net.turn()
    assert net.closed == [slow]
    works(net)


test_only_a_client_that_reads_nothing_is_closed = pytest.mark.python_face("looks between two turns")(
    test_only_a_client_that_reads_nothing_is_closed
)


def test_a_reply_without_room_is_read_past() -> None:
    """Replies behind an earlier one fill the share: no client can be closed for it."""
    net = small(PoolRoute(pool(2)), 2)
    ring = pool(2).ring()
    first, second = (next(b"k%d" % i for i in range(99) if ring.owner(b"k%d" % i) == s) for s in (0, 1))
    client = net.client()
    net.send(client, b"get %s\r\n" % first + b"get %s\r\n" % second * 9)
    item = b"VALUE %s 0 1000000\r\n%s\r\nEND\r\n" % (second, b"x" * 1_000_000)
    for _ in range(9):
        for at in range(0, len(item), 50_000):
            net.reply(1, item[at : at + 50_000])
    assert counters(net)["reply_bytes"] <= SHARE + MANY
    net.reply(0, b"END\r\n")
    replies = net.got(client)
    assert replies.startswith(b"END\r\n" + item)
    assert replies.count(b"SERVER_ERROR out of memory reading reply\r\n") >= 4
    assert net.closed == []
    assert net.engine.snapshot().servers["s1"].counters["discarded_memory"] >= 4


def test_a_write_is_refused_before_any_copy_is_sent_it() -> None:
    net = small(Replicate(pool(2), copies=2), 2)
    for server in (0, 1):  # they read nothing
        net.lose(server)
        net.engine.open_link(server)
    client = net.client()
    request = 0
    line = b"set k 0 0 8000\r\n" + b"x" * 8000 + b"\r\n"
    while net.engine.receive(client, line, net.now) and request < 3000:
        request += 1
        if counters(net)["refused_memory"]:
            break
    assert counters(net)["refused_memory"] > 0
    snapshot = net.engine.snapshot()
    assert [snapshot.servers[name].counters["missed_writes"] for name in ("s0", "s1")] == [0, 0]
    assert [net.engine.server_state(server) for server in (0, 1)] == [0, 0]


def test_a_share_of_links_that_is_full_refuses_requests_and_fails_no_server() -> None:
    """Servers that read slowly: what is written to them waits in the links' share."""
    net = small(PoolRoute(pool(2)), 2, requests=16 * SHARE)
    for server in (0, 1):  # they read nothing
        net.lose(server)
        net.engine.open_link(server)
    client = net.client()
    line = b"set k%d 0 0 8000\r\n" + b"x" * 8000 + b"\r\n"
    for i in range(3000):
        net.engine.receive(client, line % i, net.now)
        if counters(net)["refused_memory"]:
            break
    assert counters(net)["refused_memory"] == 1
    assert SHARE - (1 << 20) <= counters(net)["link_bytes"] <= SHARE + (1 << 20)
    assert not set(net.closed) & {0, 1} and [net.engine.server_state(server) for server in (0, 1)] == [0, 0]
