"""A skipped reply is an error for its own request, and for no other."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcroute.policy import Failover, Pool, PoolRoute, Replicate, Server

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

SIZE = (1 << 20) + 1  # one byte above the limit of a server that has not reported one
REFUSED = b"SERVER_ERROR value is larger than value_max\r\n"


def value(key: bytes, size: int = SIZE) -> bytes:
    return b"VALUE %s 0 %d\r\n%s\r\n" % (key, size, b"x" * size)


def opaque(sent: bytes) -> bytes:
    return next(word for word in sent.split() if word.startswith(b"O"))


def still_in_step(net: Network, server: int = 0) -> None:
    """The link answers another client as if nothing had been."""
    other = net.client()
    net.send(other, b"set other 0 0 1\r\ny\r\n")
    net.asked(server)
    net.reply(server, b"STORED\r\n")
    assert net.got(other) == b"STORED\r\n"
    assert net.closed == []


@pytest.mark.parametrize("command", [b"get k", b"gets k", b"gat 9 k", b"gats 9 k"])
def test_a_value_that_is_too_large_is_refused_alone(command: bytes) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client, other = net.client(), net.client()
    net.send(client, command + b"\r\n")
    net.send(other, b"get a\r\n")
    net.reply(0, value(b"k") + b"END\r\nVALUE a 0 1\r\nz\r\nEND\r\n")
    assert net.got(client) == REFUSED
    assert net.got(other) == b"VALUE a 0 1\r\nz\r\nEND\r\n"
    still_in_step(net)


def test_of_a_meta_get_too() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"mg k v k Omine\r\n")
    net.reply(0, b"VA %d %s kk\r\n%s\r\n" % (SIZE, opaque(net.asked(0)), b"x" * SIZE))
    assert net.got(client) == REFUSED
    still_in_step(net)


def test_a_multiget_fails_by_it_and_its_other_keys_are_read() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client, other = net.client(), net.client()
    net.send(client, b"get a k b\r\n")
    net.send(other, b"get c\r\n")
    net.reply(0, value(b"a", 1) + value(b"k") + value(b"b", 1) + b"END\r\n" + value(b"c", 1) + b"END\r\n")
    assert net.got(client) == REFUSED
    assert net.got(other) == value(b"c", 1) + b"END\r\n"
    still_in_step(net)


def test_replies_without_a_waiter_are_skipped_too() -> None:
    net = network(PoolRoute(pool(1, reply_timeout_s=0.5, deadline_s=0.5)), 1)
    client = net.client()
    net.send(client, b"get k\r\n")
    half = value(b"k") + b"END\r\n"
    net.reply(0, half[:100_000])
    net.wait(0.6)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    net.reply(0, half[100_000:])
    still_in_step(net)


def test_a_large_value_of_another_copy_is_no_reason_to_take_a_server_out() -> None:
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    for _ in range(9):
        net.send(client, b"get k\r\n")
        for server in pool(2).ring().owners(b"k", 2):
            if net.asked(server):
                net.reply(server, value(b"k") + b"END\r\n")
        assert net.got(client) == REFUSED
    assert [net.engine.server_state(server) for server in (0, 1)] == [0, 0]


@pytest.mark.parametrize(
    "reply",
    [
        value(b"other"),  # nobody asked for it
        value(b"k") + value(b"k") + b"END\r\n",  # two of one
        value(b"k") + value(b"k", 1) + b"END\r\n",
        value(b"k")[:-2] + b"xx",  # no end where it ends
        value(b"k")[:-2] + b"\rx",
        value(b"k") + b"STORED\r\n",
        b"VA %d\r\n" % SIZE,
        b"VALUE k 0 %d\r\n" % ((1 << 30) + 1),  # above any memcached's limit
    ],
)
def test_a_skipped_reply_of_another_request_breaks_the_link(reply: bytes) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"get k\r\n")
    net.reply(0, reply)
    assert net.closed == net.links


def test_a_meta_value_without_our_opaque_breaks_the_link() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"mg k v\r\n")
    net.reply(0, b"VA %d O0\r\n%s\r\n" % (SIZE, b"x" * SIZE))
    assert net.closed == net.links


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([SIZE, SIZE + 3, 1, 0, None]), min_size=1, max_size=4), st.data())
def test_wherever_the_bytes_are_cut(sizes: list[int | None], data: st.DataObject) -> None:
    """Gets in a row, of values that are kept, too large or missing: each is answered as it is."""
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    keys = [b"k%d" % i for i in range(len(sizes))]
    net.send(client, b"".join(b"get %s\r\n" % key for key in keys))
    wire = wanted = b""
    for key, size in zip(keys, sizes, strict=True):
        reply = b"END\r\n" if size is None else value(key, size) + b"END\r\n"
        wire += reply
        wanted += REFUSED if size is not None and size >= SIZE else reply
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=6))
    ends = [0, *sorted(cuts), len(wire)]
    for start, end in pairwise(ends):
        net.reply(0, wire[start:end])
    assert net.got(client) == wanted
    still_in_step(net)


def test_skipped_replies_are_counted_by_server() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"get k\r\n")
    net.reply(0, value(b"k") + b"END\r\n")
    assert net.engine.snapshot().servers["s0"].counters["too_large"] == 1


def test_a_link_that_was_lost_in_a_large_value_begins_anew() -> None:
    net = network(Failover((PoolRoute(Pool("a", (Server("s0", "127.0.0.1", 1000),))),)), 1)
    client = net.client()
    net.send(client, b"get k\r\n")
    net.reply(0, value(b"k")[:1000])
    net.lose(0)
    net.got(client)
    net.engine.open_link(0)
    net.engine.link_connected(net.links[0])
    still_in_step(net)
