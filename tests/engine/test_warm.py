"""A cold pool and a warm one: reads copy from the second to the first, and no write leaves an old value."""

import re

import pytest

from mcroute.policy import Limits, Pool, Warm

from .network import Network, network

pytestmark = pytest.mark.usefixtures("driver")

COLD, WARM = 0, 1
ROUTE = Warm(Pool.of("new", ["127.0.0.1:1000"]), Pool.of("old", ["127.0.0.1:1001"]))
HOLD_OFF_S = 2.0


@pytest.fixture
def net() -> Network:
    net = network(ROUTE, 2)
    net.engine.set_limits(Limits(refill_keys_per_s=1000.0, refill_hold_off_s=HOLD_OFF_S))
    return net


def test_a_value_of_the_warm_pool_is_copied_to_the_cold_one(net: Network) -> None:
    client = net.client()
    net.send(client, b"get k\r\n")
    assert net.asked(COLD) == b"get k\r\n"
    net.reply(COLD, b"END\r\n")
    assert net.asked(WARM) == b"get k\r\n"
    net.reply(WARM, b"VALUE k 3 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE k 3 1\r\nx\r\nEND\r\n"
    net.wait(HOLD_OFF_S)
    [opaque] = re.fullmatch(rb"mg k v f t c O(\d+)\r\n", net.asked(WARM)).groups()
    net.reply(WARM, b"VA 1 f3 t50 c5 O%s\r\nx\r\n" % opaque)
    assert re.fullmatch(rb"ms k 1 ME T49 F3 c O\d+\r\nx\r\n", net.asked(COLD))


def test_a_store_deletes_the_key_in_the_warm_pool_before_its_answer(net: Network) -> None:
    client = net.client()
    net.send(client, b"set k 0 0 1\r\ny\r\n")
    assert net.asked(COLD) == b"set k 0 0 1\r\ny\r\n"
    assert net.asked(WARM) == b""
    net.reply(COLD, b"STORED\r\n")
    assert net.asked(WARM) == b"delete k\r\n"
    assert net.got(client) == b""
    net.reply(WARM, b"DELETED\r\n")
    assert net.got(client) == b"STORED\r\n"


@pytest.mark.parametrize(
    ("cold", "warm", "answer"),
    [
        (b"DELETED\r\n", b"NOT_FOUND\r\n", b"DELETED\r\n"),
        (b"NOT_FOUND\r\n", b"DELETED\r\n", b"DELETED\r\n"),
        (b"NOT_FOUND\r\n", b"NOT_FOUND\r\n", b"NOT_FOUND\r\n"),
    ],
)
def test_a_delete_reaches_both_pools(net: Network, cold: bytes, warm: bytes, answer: bytes) -> None:
    client = net.client()
    net.send(client, b"delete k\r\n")
    for server, reply in ((COLD, cold), (WARM, warm)):
        assert net.asked(server) == b"delete k\r\n"
        assert net.got(client) == b""
        net.reply(server, reply)
    assert net.got(client) == answer


def test_a_delete_that_the_warm_pool_misses_takes_it_out_of_service(net: Network) -> None:
    client = net.client()
    net.send(client, b"delete k\r\n")
    net.asked(COLD)
    net.reply(COLD, b"DELETED\r\n")
    net.lose(WARM)
    assert net.got(client) == b"DELETED\r\n"
    assert WARM in net.engine.stale()


def test_a_counter_counts_where_it_is(net: Network) -> None:
    client = net.client()
    net.send(client, b"incr k 1\r\n")
    assert net.asked(COLD) == b"incr k 1\r\n"
    net.reply(COLD, b"NOT_FOUND\r\n")
    assert net.asked(WARM) == b"incr k 1\r\n"
    net.reply(WARM, b"5\r\n")
    assert net.asked(COLD) == b""
    assert net.got(client) == b"5\r\n"


def test_while_the_cold_pool_is_out_the_warm_one_takes_its_place(net: Network) -> None:
    net.engine.set_server_state(COLD, 1)
    client = net.client()
    net.send(client, b"set k 0 0 1\r\ny\r\n")
    assert net.asked(WARM) == b"set k 0 0 1\r\ny\r\n"
    net.reply(WARM, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    journal = net.engine.journal(COLD)
    journal.begin()
    assert journal.take(5) == [b"delete k\r\n"]
