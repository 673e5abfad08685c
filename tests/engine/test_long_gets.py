"""A get's line of any length is worked through in parts, and answered as one get."""

from __future__ import annotations

import pytest

from mcroute.policy import PoolRoute, Replicate

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

LINE_MAX = 1 << 20
KEYS = [b"%0240d" % i for i in range(10_000)]
FORMAT = b"CLIENT_ERROR bad command line format\r\n"
AFTER = b"VERSION 1.6.45\r\n"
STEP = 60_000


def items(keys: list[bytes]) -> bytes:
    return b"".join(b"VALUE %s 0 1\r\nx\r\n" % key for key in keys)


def answer(net: Network, found: set[bytes], servers: int = 1) -> list[bytes]:
    """Answers what servers are asked until nothing more comes; returns the keys, as they were asked for."""
    seen: list[bytes] = []
    is_asked = True
    while is_asked:
        is_asked = False
        for server in range(servers):
            for line in net.asked(server).splitlines():
                is_asked = True
                keys = line.split()[1:]
                seen += keys
                net.reply(server, items([key for key in keys if key in found]) + b"END\r\n")
    return seen


def send(net: Network, client: int, data: bytes, found: set[bytes]) -> list[bytes]:
    """In pieces, while servers answer what they are asked. Returns the keys."""
    asked: list[bytes] = []
    for at in range(0, len(data), STEP):
        net.send(client, data[at : at + STEP])
        asked += answer(net, found, len(net.links))
    return asked


FOUND = set(KEYS[::7])


@pytest.mark.parametrize("command", [b"get", b"gets"])
@pytest.mark.parametrize("ending", [b"\r\n", b" \r\n", b"\n"])
def test_all_keys_are_asked_for_and_one_end_is_said(command: bytes, ending: bytes) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    assert send(net, client, b"%b %b%bversion\r\n" % (command, b" ".join(KEYS), ending), FOUND) == KEYS
    assert net.got(client) == items(KEYS[::7]) + b"END\r\n" + AFTER
    assert net.closed == []


def test_keys_are_split_among_servers_and_nothing_is_asked_twice() -> None:
    net = network(PoolRoute(pool(2)), 2)
    client = net.client()
    asked = send(net, client, b"get nothing\r\nget %b\r\nget last\r\n" % b" ".join(KEYS), FOUND)
    assert sorted(asked) == sorted([b"nothing", *KEYS, b"last"])
    assert net.got(client) == b"END\r\n" + items(KEYS[::7]) + b"END\r\nEND\r\n"
    counters = net.engine.snapshot()
    assert counters.results[("get", 0)] == len(KEYS[::7])
    assert counters.results[("get", 1)] == len(KEYS) - len(KEYS[::7]) + 2


def test_a_part_is_asked_for_when_the_one_before_is_answered() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    keys = [b"%0240d" % i for i in range(12_000)]
    line = b"get %b\r\n" % b" ".join(keys)
    net.send(client, line[:1_500_000])
    first = net.asked(0).split()[1:]
    assert 0 < len(first) <= 128  # a round of the first part
    assert net.engine.snapshot().counters["request_bytes"] < 4 << 20


def test_a_part_ends_with_the_line() -> None:
    """The line goes on for a blank, or not at all, behind the last key of a part."""
    for extra in range(6):
        net = network(PoolRoute(pool(1)), 1)
        client = net.client()
        # 4 bytes of the command, then keys of 10 with a blank each.
        count = LINE_MAX // 11
        keys = [b"%010d" % i for i in range(count)]
        keys[-1] += b"x" * (LINE_MAX - 4 - 11 * count + extra - 2)
        line = b"get " + b" ".join(keys)
        assert LINE_MAX - 4 < len(line) < LINE_MAX + 4
        assert send(net, client, line + b"\r\nversion\r\n", {keys[-1]}) == keys
        assert net.got(client) == items(keys[-1:]) + b"END\r\n" + AFTER


def test_blanks_are_no_keys() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    blanks = b" " * (LINE_MAX + 5)
    line = b"get a" + blanks + b"b" + blanks + b"\r\nversion\r\n"
    assert send(net, client, line, {b"a", b"b"}) == [b"a", b"b"]
    assert net.got(client) == items([b"a", b"b"]) + b"END\r\n" + AFTER


@pytest.mark.parametrize("bad", [b"k" * 251, b"k\x01", b"k" * (LINE_MAX + 500)])
@pytest.mark.parametrize("place", [0, 5000])
def test_a_bad_key_is_the_answer_if_nothing_was_found_before(bad: bytes, place: int) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    keys = [*KEYS[:place], bad, *KEYS]
    assert bad not in send(net, client, b"get %b\r\nversion\r\n" % b" ".join(keys), set())
    assert net.got(client) == FORMAT + AFTER
    assert net.closed == []


def test_a_bad_key_behind_items_ends_the_session() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    data = b"get %b %b\r\nversion\r\n" % (b" ".join(KEYS[:5000]), b"k" * 251)
    net.send(client, data)
    answer(net, set(KEYS[:1]))
    assert net.got(client) == items(KEYS[:1]) + FORMAT
    assert net.closed == [client]


@pytest.mark.parametrize("found", [set(), {KEYS[0]}])
def test_a_part_that_fails_fails_the_get(found: set[bytes]) -> None:
    net = network(PoolRoute(pool(1, reply_timeout_s=0.5, deadline_s=0.5)), 1)
    client = net.client()
    net.send(client, b"get %b\r\nversion\r\n" % b" ".join(KEYS))
    for _ in range(2):  # the two rounds of the first part
        keys = net.asked(0).split()[1:]
        net.reply(0, items([key for key in keys if key in found]) + b"END\r\n")
    assert net.asked(0) != b""
    net.wait(0.6)
    error = b"SERVER_ERROR timeout\r\n"
    assert net.got(client) == (items([KEYS[0]]) + error if found else error + AFTER)
    assert net.closed == ([client] if found else [])


def test_requests_of_a_client_that_closes_in_the_middle_end() -> None:
    net = network(Replicate(pool(2), copies=2), 2)
    client, other = net.client(), net.client()
    net.send(client, b"get %b" % b" ".join(KEYS))
    net.engine.close(client, net.now)
    net.turn()
    answer(net, FOUND, 2)
    net.send(other, b"version\r\n")
    assert net.got(other) == AFTER
    counters = net.engine.snapshot().counters
    assert counters["requests"] == counters["replies"]
