"""A primary with backups: it answers, they get what it has stored, and what they lack is known."""

from __future__ import annotations

import pytest

from mcroute.policy import Replicate

from .network import Network, network, pool
from .test_meta import opaque

pytestmark = pytest.mark.usefixtures("driver")

KEY = b"k1"
TIMES = {"reply_timeout_s": 0.5, "deadline_s": 2.0}
FIRST, SECOND, THIRD = pool(3).ring().owners(KEY, 3)
SET = b"set k1 0 0 1\r\nx\r\n"
LATER = b"set k1 0 0 1\r\ny\r\n"


@pytest.fixture
def net() -> Network:
    return network(Replicate(pool(3, **TIMES), copies=2, write="backup"), 3)


def noted(net: Network, server: int) -> list[bytes]:
    journal = net.engine.journal(server)
    journal.begin()
    return journal.take(100)


def waiting(net: Network, server: int) -> int:
    servers = net.engine.snapshot().servers
    return int(servers[f"s{server}"].counters["copies_waiting"])


def test_the_backup_gets_what_the_primary_has_stored_and_the_client_does_not_wait(net: Network) -> None:
    client = net.client()
    net.send(client, SET)
    assert (net.asked(FIRST), net.asked(SECOND)) == (SET, b"")
    assert net.got(client) == b""
    net.reply(FIRST, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.asked(SECOND) == SET
    assert waiting(net, SECOND) == 1
    net.reply(SECOND, b"STORED\r\n")
    assert (waiting(net, SECOND), net.got(client)) == (0, b"")
    assert net.engine.snapshot().servers[f"s{SECOND}"].counters["copies"] == 1


@pytest.mark.parametrize(
    "refusal", [b"SERVER_ERROR out of memory storing object\r\n", b"CLIENT_ERROR bad\r\n", b"NOT_STORED\r\n"]
)
def test_what_the_primary_refuses_no_backup_gets(net: Network, refusal: bytes) -> None:
    client = net.client()
    net.send(client, SET)
    net.reply(FIRST, refusal)
    assert net.got(client) == refusal
    assert net.asked(SECOND) == b""
    assert net.engine.missed_writes(SECOND) == 0


def test_the_next_copy_is_the_primary_while_the_first_is_out(net: Network) -> None:
    net.engine.set_server_state(FIRST, 1)
    client = net.client()
    net.send(client, SET)
    assert net.asked(SECOND) == SET
    net.reply(SECOND, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert noted(net, FIRST) == [b"delete k1\r\n"]
    net.send(client, b"get k1\r\n")
    assert net.asked(SECOND) == b"get k1\r\n"


def test_a_store_that_is_lost_with_the_primary_goes_to_the_next_copy(net: Network) -> None:
    client = net.client()
    net.send(client, SET)
    net.lose(FIRST)
    assert net.asked(SECOND) == SET
    net.reply(SECOND, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert noted(net, FIRST) == [b"delete k1\r\n"]


def test_a_store_that_times_out_at_the_primary_goes_to_the_next_copy(net: Network) -> None:
    client = net.client()
    net.send(client, SET)
    net.wait(0.6)
    assert net.asked(SECOND) == SET
    net.reply(SECOND, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.missed_writes(FIRST) == 0
    net.lose(FIRST)
    assert noted(net, FIRST) == [b"delete k1\r\n"]


def test_what_a_backup_lacks_is_noted_before_the_client_is_answered(net: Network) -> None:
    net.engine.set_server_state(SECOND, 1)
    client = net.client()
    net.send(client, SET)
    assert net.engine.missed_writes(SECOND) == 0
    net.reply(FIRST, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert noted(net, SECOND) == [b"delete k1\r\n"]
    assert waiting(net, SECOND) == 0


def test_a_backup_that_loses_a_store_is_out_of_service(net: Network) -> None:
    client = net.client()
    net.send(client, SET)
    net.reply(FIRST, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    net.lose(SECOND)
    assert net.engine.server_state(SECOND) == 1
    assert noted(net, SECOND) == [b"delete k1\r\n"]
    assert waiting(net, SECOND) == 0


def test_a_backup_that_refuses_a_store_loses_the_key(net: Network) -> None:
    client = net.client()
    net.send(client, SET)
    net.reply(FIRST, b"STORED\r\n")
    assert net.asked(SECOND) == SET
    net.reply(SECOND, b"SERVER_ERROR out of memory storing object\r\n")
    assert net.asked(SECOND) == b"delete k1\r\n"
    net.reply(SECOND, b"DELETED\r\n")
    assert net.engine.missed_writes(SECOND) == 0
    assert net.got(client) == b"STORED\r\n"


@pytest.mark.parametrize(
    "later", [LATER, b"delete k1\r\n", b"touch k1 9\r\n", b"incr k1 1\r\n", b"get k1\r\n"]
)
def test_later_requests_for_the_key_are_behind_the_store_on_every_link(net: Network, later: bytes) -> None:
    one, other = net.client(), net.client()
    net.send(one, SET)
    net.send(other, later)
    assert (net.asked(FIRST), net.asked(SECOND)) == (SET, b"")
    net.reply(FIRST, b"STORED\r\n")
    assert net.asked(FIRST) == later
    assert net.asked(SECOND).startswith(SET)


def test_other_keys_do_not_wait(net: Network) -> None:
    client = net.client()
    other = next(b"x%d" % n for n in range(99) if pool(3).ring().owners(b"x%d" % n, 1) == [FIRST])
    net.send(client, SET)
    net.send(client, b"get %b\r\n" % other)
    assert net.asked(FIRST) == SET + b"get %b\r\n" % other


def test_deletes_wait_for_all_copies(net: Network) -> None:
    client = net.client()
    net.send(client, b"delete k1\r\n")
    assert net.asked(FIRST) == net.asked(SECOND) == b"delete k1\r\n"
    net.reply(FIRST, b"DELETED\r\n")
    assert net.got(client) == b""
    net.reply(SECOND, b"NOT_FOUND\r\n")
    assert net.got(client) == b"DELETED\r\n"


def test_each_backup_gets_a_meta_set_with_an_opaque_of_its_own() -> None:
    net = network(Replicate(pool(3, **TIMES), copies=3, write="backup"), 3)
    client = net.client()
    net.send(client, b"ms k1 1 Oabc\r\nx\r\n")
    net.reply(FIRST, b"HD O%b\r\n" % opaque(net.asked(FIRST)))
    assert net.got(client) == b"HD Oabc\r\n"
    opaques = {opaque(net.asked(server)) for server in (SECOND, THIRD)}
    assert len(opaques) == 2


def test_a_store_whose_client_has_left_is_copied_all_the_same(net: Network) -> None:
    client = net.client()
    net.send(client, SET)
    net.engine.close(client, net.now)
    net.turn()
    net.reply(FIRST, b"STORED\r\n")
    assert net.asked(SECOND) == SET


def test_a_store_that_the_primary_answers_after_the_deadline_is_copied_all_the_same() -> None:
    net = network(Replicate(pool(2, reply_timeout_s=5.0, deadline_s=1.0), copies=2, write="backup"), 2)
    first, second = pool(2).ring().owners(KEY, 2)
    client = net.client()
    net.send(client, SET)
    net.wait(1.1)
    assert net.got(client).startswith(b"SERVER_ERROR timeout")
    net.reply(first, b"STORED\r\n")
    assert net.asked(second) == SET
