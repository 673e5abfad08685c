"""The native loop sends the replies of a batch together, and keeps none of them for long."""

from __future__ import annotations

import pytest

from mcroute.policy import PoolRoute

from .conftest import HAS_LOOP
from .network import pool

if HAS_LOOP:
    from .loop_network import LoopNetwork

pytestmark = pytest.mark.skipif(not HAS_LOOP, reason="no epoll")

SERVERS = 3
MOMENT = 0.0004  # seconds: less than replies wait for each other
LONG_ENOUGH = 0.0011


class Net:
    """Three servers, each asked for one key of its own; a client, and another that keeps the loop busy."""

    def __init__(self) -> None:
        main = pool(SERVERS)
        ring = main.ring()
        self.net = LoopNetwork(PoolRoute(main), SERVERS)
        names = (b"k%d" % i for i in range(1000))
        self.keys: list[bytes] = [b""] * SERVERS
        while b"" in self.keys:
            key = next(names)
            self.keys[ring.owner(key)] = key
        self.client = self.net.client()
        self.other = self.net.client()

    def gets(self, *servers: int) -> bytes:
        return b"".join(b"get %s\r\n" % self.keys[server] for server in servers)

    def give_client(self, requests: bytes) -> None:
        """In a turn of its own."""
        self.net.give(self.client, requests)
        assert self.net.step() > 0

    def ask(self, *servers: int) -> None:
        self.give_client(self.gets(*servers))

    def answer(self, server: int) -> bytes:
        """In a turn of its own; what the client has got by the end of it."""
        self.net.give(self.net.links[server], self.reply(server))
        assert self.net.step() > 0
        return self.net.got(self.client)

    def busy_turn(self) -> bytes:
        self.net.give(self.other, b"version\r\n")
        assert self.net.step() > 0
        assert self.net.got(self.other).startswith(b"VERSION")
        return self.net.got(self.client)

    def quiet_turn(self) -> bytes:
        assert self.net.step() == 0
        return self.net.got(self.client)

    def reply(self, *servers: int) -> bytes:
        return b"".join(b"VALUE %s 0 1\r\n%d\r\nEND\r\n" % (self.keys[server], server) for server in servers)


@pytest.fixture
def net() -> Net:
    return Net()


def test_replies_of_a_batch_are_sent_when_the_last_one_is_there(net: Net) -> None:
    net.ask(0, 1, 2)
    assert net.answer(0) == b""
    assert net.answer(1) == b""
    assert net.answer(2) == net.reply(0, 1, 2)


def test_a_batch_waits_for_its_last_reply_however_they_come(net: Net) -> None:
    net.ask(0, 1, 2)
    assert net.answer(2) == b""
    assert net.answer(0) == b""
    assert net.answer(1) == net.reply(0, 1, 2)


def test_a_reply_to_a_single_request_is_sent_at_once(net: Net) -> None:
    net.ask(1)
    assert net.answer(1) == net.reply(1)


def test_first_replies_are_sent_when_the_loop_is_idle(net: Net) -> None:
    net.ask(0, 1)
    assert net.answer(0) == b""
    assert net.quiet_turn() == net.reply(0)
    assert net.answer(1) == net.reply(1)


def test_first_replies_are_sent_after_a_moment_though_the_loop_is_busy(net: Net) -> None:
    net.ask(0, 1)
    assert net.answer(0) == b""
    net.net.now += MOMENT
    assert net.busy_turn() == b""
    net.net.now += LONG_ENOUGH - MOMENT
    assert net.busy_turn() == net.reply(0)


def test_a_batch_is_kept_waiting_once(net: Net) -> None:
    net.ask(0, 1, 2)
    assert net.answer(0) == b""
    assert net.quiet_turn() == net.reply(0)
    assert net.answer(1) == net.reply(1)
    assert net.answer(2) == net.reply(2)


def test_the_next_batch_waits_for_itself_again(net: Net) -> None:
    net.ask(0, 1)
    assert net.answer(0) == b""
    assert net.quiet_turn() == net.reply(0)
    assert net.answer(1) == net.reply(1)
    net.ask(0, 1)
    assert net.answer(0) == b""
    assert net.answer(1) == net.reply(0, 1)


def test_a_client_that_sends_on_while_replies_are_due_does_not_wait(net: Net) -> None:
    net.ask(0, 1)
    net.ask(2)
    assert net.answer(0) == net.reply(0)
    assert net.answer(1) == net.reply(1)
    assert net.answer(2) == net.reply(2)


def test_the_batch_of_a_client_that_closes_is_discarded(net: Net) -> None:
    net.ask(0, 1)
    assert net.answer(0) == b""
    net.net.close(net.client)
    assert net.answer(1) == b""
    assert net.busy_turn() == b""
    counters = net.net.engine.counters()
    assert counters["sessions_closed"] == 1


def test_a_batch_with_quit_in_it_waits_for_nothing(net: Net) -> None:
    net.give_client(net.gets(0, 1) + b"quit\r\n")
    assert net.answer(0) == net.reply(0)
    assert net.answer(1) == net.reply(1)
    net.net.step()
    assert net.net.closed == [net.client]


def test_a_server_that_is_lost_ends_the_batch_with_its_errors(net: Net) -> None:
    net.ask(0, 1)
    assert net.answer(0) == b""
    net.net.lose(net.net.links[1])
    lost = net.net.got(net.client)
    assert lost.startswith(net.reply(0))
    assert lost.endswith(b"\r\n")
    assert b"SERVER_ERROR" in lost


def test_nothing_waits_for_a_request_without_reply(net: Net) -> None:
    net.give_client(net.gets(0) + b"set %s 0 0 1 noreply\r\nx\r\n" % net.keys[1])
    assert net.answer(0) == net.reply(0)


def test_replies_that_are_ready_when_the_next_caller_asks_do_not_wait_for_his(net: Net) -> None:
    net.ask(0)
    # Otherwise the client's socket would be handled first.
    assert net.quiet_turn() == b""
    net.net.give(net.net.links[0], net.reply(0))
    net.net.give(net.client, net.gets(1))
    assert net.net.step() == 2
    assert net.net.got(net.client) == net.reply(0)


def test_many_bytes_do_not_wait(net: Net) -> None:
    net.ask(0, 1)
    large = b"VALUE %s 0 20000\r\n%s\r\nEND\r\n" % (net.keys[0], b"v" * 20_000)
    net.net.give(net.net.links[0], large)
    net.net.step()
    assert net.net.got(net.client) == large
