"""Stand-ins: short lifetimes, keys that are noted before they are sent, and old values that nobody reads."""

from __future__ import annotations

import pytest

from mcroute.policy import Failover, Limits, Pool, PoolRoute, Replicate, Server

from .network import Network, network, pool
from .test_meta import opaque

pytestmark = pytest.mark.usefixtures("driver")

OWNER, GUTTER, SPARE = 0, 1, 2
REFUSED = b"SERVER_ERROR server is out of service\r\n"
TIMES = {"reply_timeout_s": 0.5, "deadline_s": 2.0}


def gutter(name: str = "gutter", port: int = 2000) -> Pool:
    return Pool(name, (Server(name, "127.0.0.1", port),), **TIMES)


@pytest.fixture
def net() -> Network:
    """One server, and one that stands in for at most 10 s."""
    return network(Failover([PoolRoute(pool(1, **TIMES)), PoolRoute(gutter())], ttl_max_s=10), 2)


def eject(net: Network, server: int = OWNER) -> None:
    net.engine.set_server_state(server, 1)


def restore(net: Network, server: int = OWNER) -> None:
    net.engine.set_server_state(server, 0)


def ask(net: Network, request: bytes, reply: bytes, server: int = GUTTER) -> bytes:
    """The answer to a request, which the server gets."""
    client = net.client()
    net.send(client, request)
    assert net.asked(server)
    net.reply(server, reply)
    return net.got(client)


def refused(net: Network, request: bytes) -> bool:
    """Whether the request fails without being sent to a stand-in."""
    client = net.client()
    net.send(client, request)
    return net.asked(GUTTER) == b"" and net.got(client).startswith(b"SERVER_ERROR")


def clean(net: Network, server: int = GUTTER) -> list[bytes]:
    """The requests of a cleaning, which are executed."""
    taken = net.engine.journal(server).taken
    assert taken.begin()
    requests = []
    while some := taken.take(2):
        requests += some
        assert taken.settle() == len(some)
    return requests


@pytest.mark.parametrize(
    ("request_bytes", "sent"),
    [
        (b"set k 5 0 1\r\nx\r\n", b"set k 5 10 1\r\nx\r\n"),
        (b"set k 5 9 1 noreply\r\nx\r\n", b"set k 5 9 1\r\nx\r\n"),
        (b"set k 5 10 1\r\nx\r\n", b"set k 5 10 1\r\nx\r\n"),
        (b"set k 5 11 1\r\nx\r\n", b"set k 5 10 1\r\nx\r\n"),
        (b"set k 5 2592000 1\r\nx\r\n", b"set k 5 10 1\r\nx\r\n"),
        (b"set k 5 -1 1\r\nx\r\n", b"set k 5 -1 1\r\nx\r\n"),
        (b"add k 0 60 1\r\nx\r\n", b"add k 0 10 1\r\nx\r\n"),
        (b"append k 0 0 1\r\nx\r\n", b"append k 0 10 1\r\nx\r\n"),
        (b"cas k 0 0 1 77\r\nx\r\n", b"cas k 0 10 1 77\r\nx\r\n"),
        (b"touch k 60\r\n", b"touch k 10\r\n"),
        (b"touch k -1\r\n", b"touch k -1\r\n"),
        (b"gat 60 k\r\n", b"gat 10 k\r\n"),
        (b"gats 0 k\r\n", b"gats 10 k\r\n"),
        (b"incr k 1\r\n", b"incr k 1\r\n"),
        (b"delete k\r\n", b"delete k\r\n"),
        (b"get k\r\n", b"get k\r\n"),
        (b"ms k 1\r\nx\r\n", b"ms k 1 T10 O%s\r\nx\r\n"),
        (b"ms k 1 T60 F5\r\nx\r\n", b"ms k 1 T10 F5 O%s\r\nx\r\n"),
        (b"ms k 1 F5 T9\r\nx\r\n", b"ms k 1 F5 T9 O%s\r\nx\r\n"),
        (b"ms k 1 MA N0\r\nx\r\n", b"ms k 1 MA N10 T10 O%s\r\nx\r\n"),
        (b"mg k v\r\n", b"mg k v O%s\r\n"),
        (b"mg k t T0\r\n", b"mg k t T10 O%s\r\n"),
        (b"mg k v N300\r\n", b"mg k v N10 O%s\r\n"),
        (b"ma k N0 J5\r\n", b"ma k N10 J5 O%s\r\n"),
        (b"ma k T-1\r\n", b"ma k T-1 O%s\r\n"),
        (b"md k I T300\r\n", b"md k I T10 O%s\r\n"),
    ],
)
def test_a_stand_in_gets_a_short_lifetime(net: Network, request_bytes: bytes, sent: bytes) -> None:
    client = net.client()
    net.send(client, request_bytes)
    asked = net.asked(OWNER)
    assert asked.replace(b" O1\r", b"\r").split(b" O")[0] in request_bytes.replace(b" noreply", b"")
    net.lose(OWNER)
    eject(net)
    net.send(net.client(), request_bytes)
    asked = net.asked(GUTTER)
    assert asked.endswith(sent.replace(b"%s", opaque(asked[asked.rindex(b" O") :]) if b"%s" in sent else b""))


def test_a_date_is_shortened_by_the_date(net: Network) -> None:
    net.engine.set_date(2_000_000_000 - net.now)
    eject(net)
    now = 2_000_000_000
    for date, sent in ((now + 9, b"2000000009"), (now + 11, b"10"), (now - 1, b"1999999999")):
        net.send(net.client(), b"set k 0 %d 1\r\nx\r\n" % date)
        assert net.asked(GUTTER) == b"set k 0 %b 1\r\nx\r\n" % sent
        net.reply(GUTTER, b"STORED\r\n")


def test_without_a_date_a_date_is_the_longest_lifetime(net: Network) -> None:
    eject(net)
    net.send(net.client(), b"touch k 2000000000\r\n")
    assert net.asked(GUTTER) == b"touch k 10\r\n"


def test_what_a_stand_in_took_is_read_there_until_the_owner_serves(net: Network) -> None:
    eject(net)
    assert ask(net, b"set k 0 0 1\r\nx\r\n", b"STORED\r\n") == b"STORED\r\n"
    assert ask(net, b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n") == b"VALUE k 0 1\r\nx\r\nEND\r\n"
    assert ask(net, b"set k 0 0 1\r\ny\r\n", b"STORED\r\n") == b"STORED\r\n"
    assert len(net.engine.journal(GUTTER).taken) == 1
    assert not net.engine.journal(GUTTER).taken.begin()
    restore(net)
    eject(net)
    for request in (b"get k\r\n", b"set k 0 0 1\r\nz\r\n", b"incr k 1\r\n", b"touch k 9\r\n", b"mg k v\r\n"):
        assert refused(net, request)
    assert net.engine.counters()["standins_refused"] == 5
    assert ask(net, b"get other\r\n", b"END\r\n") == b"END\r\n"
    assert ask(net, b"delete k\r\n", b"DELETED\r\n") == b"DELETED\r\n"
    assert refused(net, b"get k\r\n")
    assert clean(net) == [b"delete k\r\n"]
    assert ask(net, b"get k\r\n", b"END\r\n") == b"END\r\n"
    assert len(net.engine.journal(GUTTER).taken) == 0


def test_the_only_request_that_fails_over_leaves_a_key_that_is_due(net: Network) -> None:
    """The owner serves: its later values are newer."""
    client = net.client()
    net.send(client, b"set k 0 0 1\r\nx\r\n")
    assert net.asked(OWNER)
    net.wait(0.6)
    assert net.asked(GUTTER) == b"set k 0 10 1\r\nx\r\n"
    net.reply(GUTTER, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.server_state(OWNER) == 0
    net.reply(OWNER, b"STORED\r\n")
    net.send(client, b"get k\r\n")
    assert net.asked(OWNER)
    net.wait(0.6)
    assert net.asked(GUTTER) == b""
    net.wait(2.0)
    assert net.got(client).startswith(b"SERVER_ERROR timeout")
    assert clean(net) == [b"delete k\r\n"]


def test_a_restore_while_keys_are_deleted_makes_the_others_due(net: Network) -> None:
    taken = net.engine.journal(GUTTER).taken
    eject(net)
    ask(net, b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
    restore(net)
    eject(net)
    ask(net, b"set b 0 0 1\r\nx\r\n", b"STORED\r\n")
    assert taken.begin()
    ask(net, b"set c 0 0 1\r\nx\r\n", b"STORED\r\n")
    restore(net)
    # Only keys that were noted before `begin`: the caller has waited for their writes.
    assert taken.take(100) == [b"delete a\r\n", b"delete b\r\n"]
    assert taken.take(100) == []
    assert taken.settle() == 2
    assert clean(net) == [b"delete c\r\n"]


def test_a_key_of_an_encoded_name_is_deleted_as_it_was_sent(net: Network) -> None:
    eject(net)
    net.send(net.client(), b"ms azE= 1 b\r\nx\r\n")
    assert b" T10" in net.asked(GUTTER)
    restore(net)
    assert clean(net) == [b"md azE= b\r\n"]


def test_a_key_without_room_is_not_taken(net: Network) -> None:
    net.engine.set_limits(Limits(journal_keys_max=1))
    eject(net)
    ask(net, b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
    assert refused(net, b"set b 0 0 1\r\nx\r\n")
    assert ask(net, b"get b\r\n", b"END\r\n") == b"END\r\n"
    assert ask(net, b"set a 0 0 1\r\ny\r\n", b"STORED\r\n") == b"STORED\r\n"
    net.wait(30)
    assert ask(net, b"set b 0 0 1\r\nx\r\n", b"STORED\r\n") == b"STORED\r\n"
    assert len(net.engine.journal(GUTTER).taken) == 1


def test_a_stand_in_with_an_unknown_past_waits(net: Network) -> None:
    net.engine.journal(GUTTER).taken.distrust(net.now + 12)
    eject(net)
    assert refused(net, b"get k\r\n")
    assert refused(net, b"set k 0 0 1\r\nx\r\n")
    assert ask(net, b"delete k\r\n", b"NOT_FOUND\r\n") == b"NOT_FOUND\r\n"
    net.wait(12)
    assert ask(net, b"get k\r\n", b"END\r\n") == b"END\r\n"


def test_keys_of_one_get_go_to_the_stand_in_together_but_for_those_that_are_due(net: Network) -> None:
    eject(net)
    ask(net, b"set b 0 0 1\r\nx\r\n", b"STORED\r\n")
    client = net.client()
    net.send(client, b"get a b c\r\n")
    assert net.asked(GUTTER) == b"get a b c\r\n"
    net.reply(GUTTER, b"VALUE b 0 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE b 0 1\r\nx\r\nEND\r\n"
    restore(net)
    eject(net)
    net.send(client, b"get a b c\r\n")
    assert net.asked(GUTTER) == b"get a c\r\n"
    net.reply(GUTTER, b"END\r\n")
    assert net.got(client).startswith(b"SERVER_ERROR")
    net.send(client, b"gat 60 a c\r\n")
    assert net.asked(GUTTER) == b"gat 10 a\r\ngat 10 c\r\n"


def test_the_second_stand_in_stands_in_for_the_first_as_well() -> None:
    route = [PoolRoute(pool(1, **TIMES)), PoolRoute(gutter()), PoolRoute(gutter("spare", 3000))]
    net = network(Failover(route, ttl_max_s=10), 3)
    eject(net)
    eject(net, GUTTER)
    ask(net, b"set k 0 0 1\r\nx\r\n", b"STORED\r\n", SPARE)
    restore(net, GUTTER)
    ask(net, b"set k 0 0 1\r\ny\r\n", b"STORED\r\n", GUTTER)
    eject(net, GUTTER)
    client = net.client()
    net.send(client, b"get k\r\n")
    assert net.asked(SPARE) == b"" and net.got(client).startswith(b"SERVER_ERROR")
    assert clean(net, SPARE) == [b"delete k\r\n"]


def test_a_stand_in_for_copies_serves_until_one_of_them_does() -> None:
    net = network(Failover([Replicate(pool(2, **TIMES), 2), PoolRoute(gutter())], ttl_max_s=10), 3)
    for server in (0, 1):
        eject(net, server)
    ask(net, b"set k 0 0 1\r\nx\r\n", b"STORED\r\n", 2)
    assert ask(net, b"get k\r\n", b"END\r\n", 2) == b"END\r\n"
    restore(net, 1)
    eject(net, 1)
    client = net.client()
    net.send(client, b"get k\r\n")
    assert net.asked(2) == b"" and net.got(client).startswith(b"SERVER_ERROR")


def test_copies_stand_in_together() -> None:
    spare = Pool("gutter", tuple(Server(f"g{n}", "127.0.0.1", 2000 + n) for n in range(2)), **TIMES)
    net = network(Failover([PoolRoute(pool(1, **TIMES)), Replicate(spare, 2)], ttl_max_s=10), 3)
    eject(net)
    client = net.client()
    net.send(client, b"set k 0 0 1\r\nx\r\n")
    for server in (1, 2):
        assert net.asked(server) == b"set k 0 10 1\r\nx\r\n"
        net.reply(server, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    restore(net)
    assert clean(net, 1) == clean(net, 2) == [b"delete k\r\n"]
