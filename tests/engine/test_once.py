"""Commands that must not run twice, with two copies: who does them, what is undone, what is answered."""

from __future__ import annotations

import pytest

from mcroute.policy import Failover, Pool, PoolRoute, Replicate, Server

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

FIRST, SECOND = OWNERS = pool(3).ring().owners(b"k1", 2)
ADD = b"add k1 0 0 1\r\nx\r\n"
INCR = b"incr k1 1\r\n"
MISS, HIT = b"EN O%s\r\n", b"HD O%s\r\n"


@pytest.fixture
def net() -> Network:
    return network(Replicate(pool(3), copies=2), 3)


def look(net: Network, server: int, answer: bytes) -> None:
    """The server is asked whether it has the key."""
    asked = net.asked(server)
    assert asked.startswith(b"mg k1 u O")
    net.reply(server, answer.replace(b"%s", asked.split(b"O")[1].strip()))


def looked(net: Network, *answers: bytes) -> int:
    """A client's add, behind its looks."""
    client = net.client()
    net.send(client, ADD)
    for server, answer in zip(OWNERS, answers, strict=True):
        look(net, server, answer)
    return client


# ---- add ----


def test_an_add_goes_to_all_copies_when_none_has_the_key(net: Network) -> None:
    client = looked(net, MISS, MISS)
    assert [net.asked(server) for server in OWNERS] == [ADD, ADD]
    net.reply(FIRST, b"STORED\r\n")
    assert net.got(client) == b""
    net.reply(SECOND, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"


@pytest.mark.parametrize("holder", [0, 1])
def test_an_add_is_refused_when_any_copy_has_the_key_and_creates_nothing(net: Network, holder: int) -> None:
    client = looked(net, *(HIT if i == holder else MISS for i in range(2)))
    assert [net.asked(server) for server in OWNERS] == [b"", b""]
    assert net.got(client) == b"NOT_STORED\r\n"


def test_requests_for_the_key_wait_behind_the_look(net: Network) -> None:
    client, other = net.client(), net.client()
    net.send(client, ADD)
    net.send(other, b"get k1\r\n" + ADD)
    for server in OWNERS:
        look(net, server, MISS)
    assert [net.asked(server) for server in OWNERS] == [ADD, ADD]
    for server in OWNERS:
        net.reply(server, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.asked(FIRST).startswith(b"get k1\r\nmg k1 u O")


def test_an_add_without_a_server_that_is_out_counts_as_missed_there(net: Network) -> None:
    net.engine.set_server_state(FIRST, 1)
    client = net.client()
    net.send(client, ADD)
    assert not net.engine.missed_writes(FIRST)
    look(net, SECOND, MISS)
    net.reply(SECOND, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.missed_writes(FIRST) == 1


def test_an_add_that_cannot_look_is_not_sent(net: Network) -> None:
    client = net.client()
    net.send(client, ADD)
    look(net, SECOND, MISS)
    net.asked(FIRST)
    net.wait(0.6)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    assert [net.asked(server) for server in OWNERS] == [b"", b""]
    # A look changes nothing: the copy has missed no write.
    assert not net.engine.missed_writes(FIRST)


def test_an_add_that_timed_out_on_one_copy_is_undone_on_the_other(net: Network) -> None:
    client = looked(net, MISS, MISS)
    net.asked(SECOND)
    net.reply(SECOND, b"STORED\r\n")
    net.wait(0.6)
    assert net.asked(SECOND) == b"delete k1\r\n"
    assert net.got(client) == b""
    net.reply(SECOND, b"DELETED\r\n")
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"


@pytest.mark.parametrize("winner", [0, 1])
def test_of_two_proxies_adds_none_wins_one_copy_each(net: Network, winner: int) -> None:
    client = looked(net, MISS, MISS)
    for server in OWNERS:
        net.asked(server)
    mine, theirs = OWNERS[winner], OWNERS[1 - winner]
    net.reply(mine, b"STORED\r\n")
    net.reply(theirs, b"NOT_STORED\r\n")
    assert net.asked(mine) == b"delete k1\r\n"
    assert net.asked(theirs) == b""
    net.reply(mine, b"DELETED\r\n")
    assert net.got(client) == b"NOT_STORED\r\n"


def test_an_add_that_one_copy_cannot_store_is_undone(net: Network) -> None:
    client = looked(net, MISS, MISS)
    for server in OWNERS:
        net.asked(server)
    net.reply(FIRST, b"SERVER_ERROR out of memory\r\n")
    net.reply(SECOND, b"STORED\r\n")
    assert net.asked(SECOND) == b"delete k1\r\n"
    net.reply(SECOND, b"DELETED\r\n")
    assert net.got(client) == b"SERVER_ERROR a server refused\r\n"


def test_an_add_succeeds_on_one_copy_when_the_other_is_lost(net: Network) -> None:
    client = looked(net, MISS, MISS)
    net.reply(SECOND, b"STORED\r\n")
    net.lose(FIRST)
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.is_stale(FIRST)


# ---- one after the other ----


@pytest.mark.parametrize(
    ("command", "nothing", "done"),
    [
        (INCR, b"NOT_FOUND\r\n", b"6\r\n"),
        (b"append k1 0 0 1\r\nx\r\n", b"NOT_STORED\r\n", b"STORED\r\n"),
        (b"replace k1 0 0 1\r\nx\r\n", b"NOT_STORED\r\n", b"STORED\r\n"),
        (b"gat 60 k1\r\n", b"END\r\n", b"VALUE k1 0 1\r\nx\r\nEND\r\n"),
    ],
)
def test_a_copy_that_has_nothing_is_followed_by_the_next(
    net: Network, command: bytes, nothing: bytes, done: bytes
) -> None:
    client = net.client()
    net.send(client, command)
    assert [net.asked(server) for server in OWNERS] == [command, b""]
    net.reply(FIRST, nothing)
    assert net.asked(SECOND) == command
    net.reply(SECOND, done)
    # There is nothing to undo on the first.
    assert net.asked(FIRST) == b""
    assert net.got(client) == done


def test_a_value_that_is_stored_during_an_increment_is_undone(net: Network) -> None:
    """The set reaches both copies before the incr reaches the second: they may not stay different."""
    client = net.client()
    net.send(client, INCR + b"set k1 0 0 1\r\n5\r\n")
    for server in OWNERS:
        net.asked(server)
    net.reply(FIRST, b"NOT_FOUND\r\nSTORED\r\n")
    assert net.asked(SECOND) == INCR
    net.reply(SECOND, b"STORED\r\n6\r\n")
    assert net.asked(FIRST) == b"delete k1\r\n"
    net.reply(FIRST, b"DELETED\r\n")
    assert net.got(client) == b"6\r\nSTORED\r\n"


def test_an_increment_of_a_key_that_no_copy_has_is_not_found(net: Network) -> None:
    client = net.client()
    net.send(client, INCR)
    net.reply(FIRST, b"NOT_FOUND\r\n")
    net.reply(SECOND, b"NOT_FOUND\r\n")
    assert net.got(client) == b"NOT_FOUND\r\n"


def test_a_cas_is_asked_of_no_other_copy(net: Network) -> None:
    client = net.client()
    net.send(client, b"gets k1\r\n")
    net.asked(FIRST)
    net.reply(FIRST, b"VALUE k1 0 1 7\r\nx\r\nEND\r\n")
    token = net.got(client).split()[4]
    net.send(client, b"cas k1 0 0 1 %s\r\ny\r\n" % token)
    assert net.asked(FIRST) == b"cas k1 0 0 1 7\r\ny\r\n"
    net.reply(FIRST, b"NOT_FOUND\r\n")
    assert net.asked(SECOND) == b""
    assert net.got(client) == b"NOT_FOUND\r\n"


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (INCR, b"NOT_FOUND\r\n"),
        (b"append k1 0 0 1\r\nx\r\n", b"NOT_STORED\r\n"),
        (b"replace k1 0 0 1\r\nx\r\n", b"NOT_STORED\r\n"),
    ],
)
def test_a_refusal_behind_a_timeout_is_answered_as_the_timeout(
    net: Network, command: bytes, refusal: bytes
) -> None:
    """The first copy may have executed it."""
    client = net.client()
    net.send(client, command)
    net.wait(0.6)
    assert net.asked(SECOND) == command
    net.asked(FIRST)
    net.reply(SECOND, refusal)
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    # The copy that may have executed the request keeps its value.
    assert net.asked(FIRST) == b""


def test_a_success_behind_a_timeout_is_undone_where_it_may_happen_again(net: Network) -> None:
    client = net.client()
    net.send(client, INCR)
    net.wait(0.6)
    net.asked(FIRST)
    net.reply(SECOND, b"6\r\n")
    assert net.asked(FIRST) == b"delete k1\r\n"
    net.reply(FIRST, b"6\r\nDELETED\r\n")
    assert net.got(client) == b"6\r\n"


@pytest.mark.parametrize("holder", [0, 1])
def test_an_increment_that_creates_counts_on_the_copy_with_the_counter(net: Network, holder: int) -> None:
    client = net.client()
    net.send(client, b"ma k1 N0 v\r\n")
    for i, server in enumerate(OWNERS):
        look(net, server, HIT if i == holder else MISS)
    asked = net.asked(OWNERS[holder])
    assert asked.startswith(b"ma k1 N0 v O")
    assert net.asked(OWNERS[1 - holder]) == b""
    net.reply(OWNERS[holder], b"VA 1 O%s\r\n6\r\n" % asked.split(b"O")[1].strip())
    assert net.asked(OWNERS[1 - holder]) == b"delete k1\r\n"
    net.reply(OWNERS[1 - holder], b"NOT_FOUND\r\n")
    assert net.got(client) == b"VA 1\r\n6\r\n"


# ---- without copies ----


@pytest.mark.parametrize("command", [ADD, INCR])
def test_a_failover_asks_no_spare_after_a_timeout(command: bytes) -> None:
    """The first pool may have executed it, and the spare knows nothing of that."""
    pools = [PoolRoute(Pool(f"p{i}", (Server(f"s{i}", "127.0.0.1", i + 1),))) for i in range(2)]
    net = network(Failover(pools), 2)
    client = net.client()
    net.send(client, command)
    net.wait(0.6)
    assert net.asked(1) == b""
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    # If the request cannot have been executed, the spare is asked.
    net.engine.set_server_state(0, 1)
    net.send(client, command)
    assert net.asked(1) == command


# ---- two at a time, at two copies ----


def test_an_increment_at_a_server_that_returned_waits_for_one_at_the_other_copy(net: Network) -> None:
    one, other = net.client(), net.client()
    net.engine.set_server_state(FIRST, 1)
    net.send(one, INCR)
    assert net.asked(SECOND) == INCR
    net.engine.set_server_state(FIRST, 0)
    net.send(other, INCR)
    # Both copies still have the number before: of two increments at once both would be told the same.
    look(net, FIRST, HIT)
    net.reply(SECOND, b"6\r\n")
    assert net.asked(FIRST) == b"delete k1\r\n"
    look(net, SECOND, HIT)
    assert net.asked(FIRST) == INCR
    net.reply(FIRST, b"DELETED\r\nNOT_FOUND\r\n")
    assert net.got(one) == b"6\r\n"
    assert net.asked(SECOND) == INCR
    net.reply(SECOND, b"7\r\n")
    assert net.got(other) == b"7\r\n"


def test_an_increment_at_a_server_that_went_out_of_service_ends_before_the_next(net: Network) -> None:
    deleting, one, other = (net.client() for _ in range(3))
    net.send(deleting, b"delete k1\r\n")
    net.send(one, INCR)
    net.reply(FIRST, b"SERVER_ERROR out of memory\r\n")
    assert net.engine.is_stale(FIRST)
    assert net.asked(SECOND) == b"delete k1\r\n"
    net.send(other, INCR)
    # The first increment goes on before the other one; what the first copy says now is not believed.
    looks = net.asked(SECOND)
    assert looks.count(b"mg k1 u O") == 2
    net.reply(FIRST, b"6\r\n")
    assert net.got(one) == b""
    net.reply(SECOND, b"DELETED\r\n" + looks.replace(b"mg k1 u", b"HD"))
    assert net.asked(SECOND) == INCR * 2
    net.reply(SECOND, b"7\r\n8\r\n")
    assert (net.got(one), net.got(other)) == (b"7\r\n", b"8\r\n")


def test_an_increment_behind_one_that_timed_out_finds_nothing_old(net: Network) -> None:
    one, other = net.client(), net.client()
    net.engine.set_server_state(FIRST, 1)
    net.send(one, INCR)
    net.engine.set_server_state(FIRST, 0)
    net.send(other, INCR)
    look(net, FIRST, HIT)
    net.wait(0.6)
    assert net.asked(FIRST) == b"delete k1\r\n" + INCR
    net.reply(FIRST, b"DELETED\r\nNOT_FOUND\r\n")
    assert net.got(one).startswith(b"SERVER_ERROR timeout")


def test_an_increment_that_timed_out_is_not_sent_there_again(net: Network) -> None:
    """The silent copy may execute it late: behind the looks, only the other copy is asked."""
    one, other = net.client(), net.client()
    net.send(one, INCR)
    net.wait(0.3)
    net.send(other, INCR)
    assert net.asked(FIRST) == INCR * 2
    net.wait(0.3)
    # The first increment goes on to the second copy, while the other one is still at the first copy.
    asked = net.asked(FIRST)
    assert asked.startswith(b"mg k1 u O")
    look(net, SECOND, MISS)
    net.reply(FIRST, b"6\r\n7\r\nHD" + asked[len(b"mg k1 u") :])
    assert net.asked(FIRST) == b""
    # The other one succeeded, and the second copy loses the key before the first one asks there.
    assert net.asked(SECOND) == b"delete k1\r\n" + INCR
    net.reply(SECOND, b"NOT_FOUND\r\n" * 2)
    assert net.got(other) == b"7\r\n"
    assert net.got(one).startswith(b"SERVER_ERROR timeout")


def test_increments_that_go_on_to_the_other_copy_keep_their_order(net: Network) -> None:
    clients = [net.client() for _ in range(2)]
    for number, client in enumerate(clients, 1):
        net.send(client, b"incr k1 %d\r\n" % number)
    net.asked(FIRST)
    # Taken out of service as too slow: its replies would still be believed.
    net.engine.set_server_state(FIRST, 1)
    net.send(net.client(), b"incr k1 3\r\n")
    # The third one looks, and ends the wait of those before it. The first one looks, since the second one has
    # not failed over yet; so the second one looks too.
    looks = net.asked(SECOND)
    assert looks.count(b"mg k1 u O") == 3
    net.reply(SECOND, looks.replace(b"mg k1 u", b"HD"))
    assert net.asked(SECOND) == b"incr k1 1\r\nincr k1 2\r\nincr k1 3\r\n"
