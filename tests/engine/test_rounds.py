"""A get of many keys is asked for and answered piece by piece: what it takes of the memory has a bound."""

from __future__ import annotations

import pytest

from mcroute.policy import PoolRoute, Replicate

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

KEYS = [b"k%d" % i for i in range(600)]
SIZE = 100_000


def get(keys: list[bytes]) -> bytes:
    return b"get %s\r\n" % b" ".join(keys)


def items(keys: list[bytes], size: int) -> bytes:
    return b"".join(b"VALUE %s 0 %d\r\n%s\r\n" % (key, size, b"x" * size) for key in keys)


def answer(net: Network, server: int, size: int) -> int:
    """Answers what the server was asked, if anything. Returns the number of keys."""
    keys = net.asked(server).split()[1:]
    if keys:
        net.reply(server, items(keys, size) + b"END\r\n")
    return len(keys)


def most_bytes(net: Network) -> int:
    return net.engine.snapshot().counters["reply_bytes"]


def test_large_items_come_in_rounds_in_the_order_of_the_keys() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client, other = net.client(), net.client()
    net.send(client, get(KEYS))
    got, rounds = b"", []
    while count := answer(net, 0, SIZE):
        rounds.append(count)
        got += net.got(client)
        if len(rounds) == 2:  # between two rounds others are answered
            net.send(other, b"version\r\n")
            assert net.got(other) == b"VERSION 1.6.45\r\n"
    assert got == items(KEYS, SIZE) + b"END\r\n"
    assert rounds[0] == 128 and all(count <= 85 for count in rounds[1:]) and sum(rounds) == len(KEYS)
    counters = net.engine.snapshot()
    assert counters.results[("get", 0)] == len(KEYS)  # each a hit


def test_small_items_are_asked_for_all_at_once_behind_the_first_round() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, get(KEYS))
    rounds = []
    while count := answer(net, 0, 10):
        rounds.append(count)
    assert rounds == [128, len(KEYS) - 128]
    assert net.got(client) == items(KEYS, 10) + b"END\r\n"


def test_misses_and_requests_behind_it_keep_their_order() -> None:
    net = network(PoolRoute(pool(2)), 2)
    client = net.client()
    net.send(client, get(KEYS) + b"get last\r\nversion\r\n")
    wanted = []
    for _ in range(20):
        for server in (0, 1):
            for line in net.asked(server).splitlines():
                found = [key for key in line.split()[1:] if key[-1:] in b"13579"]
                wanted += found
                net.reply(server, items(found, 1) + b"END\r\n")
    found = [key for key in KEYS if key in wanted]
    assert net.got(client) == items(found, 1) + b"END\r\nEND\r\nVERSION 1.6.45\r\n"


def test_behind_an_earlier_request_it_waits_for_its_turn() -> None:
    net = network(PoolRoute(pool(2)), 2)
    ring = pool(2).ring()
    first = next(key for key in KEYS if ring.owner(key) == 0)
    keys = [key for key in (b"m%d" % i for i in range(900)) if ring.owner(key) == 1][:300]
    client = net.client()
    net.send(client, b"get %s\r\n" % first + get(keys))
    assert answer(net, 1, 1) == 128
    assert net.asked(1) == b""
    net.wait(0.3)
    net.reply(0, b"END\r\n")
    assert net.got(client) == b"END\r\n" + items(keys[:128], 1)
    assert answer(net, 1, 1) == 172
    assert net.got(client) == items(keys[128:], 1) + b"END\r\n"


def test_an_error_in_the_first_round_is_the_whole_answer() -> None:
    net = network(PoolRoute(pool(1, reply_timeout_s=0.5, deadline_s=0.5)), 1)
    client = net.client()
    net.send(client, get(KEYS) + b"version\r\n")
    net.wait(0.6)
    assert net.got(client) == b"SERVER_ERROR timeout\r\nVERSION 1.6.45\r\n"
    assert net.closed == []


def test_an_error_behind_items_ends_the_session_in_step() -> None:
    net = network(PoolRoute(pool(1, reply_timeout_s=0.5, deadline_s=0.5)), 1)
    client = net.client()
    net.send(client, get(KEYS) + b"version\r\n")
    answer(net, 0, 1)
    assert net.got(client) == items(KEYS[:128], 1)
    net.wait(0.6)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    assert net.closed == [client]


def test_a_get_ends_when_its_client_closes_between_two_rounds() -> None:
    net = network(Replicate(pool(2), copies=2), 2)
    client, other = net.client(), net.client()
    net.send(client, get(KEYS))
    for server in (0, 1):
        answer(net, server, 1)
    if client not in net.closed:
        net.engine.close(client, net.now) if hasattr(net.engine, "close") else None
        net.turn()
    for _ in range(9):
        for server in (0, 1):
            answer(net, server, 1)
    counters = net.engine.snapshot().counters
    assert counters["requests"] == counters["replies"]
    net.send(other, b"version\r\n")
    assert net.got(other) == b"VERSION 1.6.45\r\n"


@pytest.mark.python_face("looks between two turns")
def test_a_client_that_does_not_read_is_asked_for_no_more() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client, link = net.client(), net.links[0]
    net.engine.receive(client, get(KEYS), net.now)
    asked = 0
    for _ in range(50):
        net.engine.take_dirty()
        keys = net.engine.take_output(link).split()[1:]
        asked += len(keys)
        if not keys:
            break
        net.engine.receive(link, items(keys, SIZE) + b"END\r\n", net.now)
    net.now += 30  # longer than a deadline: that is the client's affair
    net.engine.check(net.now)
    assert asked < 300
    assert most_bytes(net) < 40 << 20
    got = net.engine.take_output(client)
    for _ in range(50):
        net.engine.take_dirty()
        keys = net.engine.take_output(link).split()[1:]
        if not keys:
            break
        net.engine.receive(link, items(keys, SIZE) + b"END\r\n", net.now)
        got += net.engine.take_output(client)
    assert got == items(KEYS, SIZE) + b"END\r\n"
