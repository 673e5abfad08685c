"""The handshake of a link, before its first request."""

import pytest

from mcroute import Engine
from mcroute.policy import PoolRoute, Replicate, compile_plan

from .network import Network, pool

SCRIPT = ((b"set auth 0 0 3\r\na b\r\n", b"STORED"), (b"version\r\n", b"VERSION "))
VERSION = SCRIPT[1:]


def connect(net: Network, script: object = SCRIPT, server: int = 0) -> None:
    net.lose(server)
    net.engine.open_link(server, script=script)
    net.engine.link_connected(net.links[server])
    net.turn()


@pytest.fixture
def net() -> Network:
    net = Network(PoolRoute(pool(1)), 1)
    net.lose(0)
    net.engine.open_link(0, script=SCRIPT)
    return net


@pytest.fixture
def copies() -> Network:
    """Two copies, the first of which has been connected to and has not answered."""
    net = Network(Replicate(pool(2), copies=2), 2)
    connect(net, VERSION)
    net.asked(0)
    return net


def test_requests_wait_until_the_handshake_is_answered(net: Network) -> None:
    client = net.client()
    net.send(client, b"get a\r\n")
    assert net.asked(0) == b""
    net.engine.link_connected(net.links[0])
    net.turn()
    assert net.asked(0) == b"set auth 0 0 3\r\na b\r\nversion\r\n"
    assert net.engine.greeting(net.links[0]) == b""
    net.send(client, b"get b\r\n")
    net.reply(0, b"STORED\r\n")
    assert net.asked(0) == b""
    assert not net.engine.is_ready(net.links[0])
    net.reply(0, b"VERSION 1.6.45\r\n")
    assert net.engine.is_ready(net.links[0])
    assert net.asked(0) == b"get a\r\nget b\r\n"
    net.reply(0, b"VALUE a 0 1\r\nx\r\nEND\r\nEND\r\n")
    assert net.got(client) == b"VALUE a 0 1\r\nx\r\nEND\r\nEND\r\n"
    assert net.engine.greeting(net.links[0]) == b"VERSION 1.6.45"
    assert net.engine.unanswered(net.links[0]) == 0


@pytest.mark.parametrize("size", [1, 2000, 100_000])
def test_values_of_any_size_wait(size: int) -> None:
    net = Network(PoolRoute(pool(1)), 1)
    connect(net)
    request = b"set a 0 0 %d\r\n%b\r\n" % (size, b"x" * size)
    net.send(net.client(), request)
    script = b"".join(step for step, _ in SCRIPT)
    assert net.asked(0) == script
    net.reply(0, b"STORED\r\nVERSION 1\r\n")
    assert net.asked(0) == request


@pytest.mark.parametrize("size", [1, 2000, 100_000])
def test_they_wait_for_writers_of_pieces_too(size: int) -> None:
    net = Network(PoolRoute(pool(1)), 1)
    net.lose(0)
    net.engine.open_link(0, script=VERSION)
    net.engine.receive(net.client(), b"set a 0 0 %d\r\n%b\r\n" % (size, b"x" * size), net.now)
    assert net.engine.take_pieces(net.links[0]) == []
    net.engine.link_connected(net.links[0])
    assert b"".join(net.engine.take_pieces(net.links[0])) == b"version\r\n"
    net.engine.receive(net.links[0], b"VERSION 1\r\n", net.now)
    assert b"".join(net.engine.take_pieces(net.links[0])).startswith(b"set a 0 0")


@pytest.mark.parametrize(
    "reply",
    [b"CLIENT_ERROR authentication failure\r\n", b"END\r\n", b"-ERR unknown\r\n", b"\n", b"x" * 2000],
)
def test_a_server_that_says_something_else_is_left(net: Network, reply: bytes) -> None:
    client = net.client()
    net.send(client, b"get a\r\n")
    net.engine.link_connected(net.links[0])
    net.turn()
    net.reply(0, reply)
    assert net.closed == [net.links[0]]
    assert net.got(client) == b"SERVER_ERROR server is out of service\r\n"
    assert net.engine.greeting(net.links[0]) == reply.strip()[:96]
    assert b"get" not in net.asked(0)
    # The request was refused; the link is in step.
    assert net.engine.counters()["desyncs"] == 0
    assert net.engine.snapshot().servers["s0"].counters["connects_failed"] == 1


def test_an_unasked_answer_is_not_taken_for_the_handshakes(net: Network) -> None:
    client = net.client()
    net.send(client, b"set a 0 0 1\r\nx\r\n")
    net.engine.link_connected(net.links[0])
    net.turn()
    net.reply(0, b"STORED\r\nVERSION 1\r\nSTORED\r\n")
    assert net.closed == [net.links[0]]
    assert net.got(client).startswith(b"SERVER_ERROR ")


def test_writes_behind_a_refused_handshake_were_not_sent(copies: Network) -> None:
    client = copies.client()
    copies.send(client, b"set a 0 0 1\r\nx\r\n")
    copies.reply(1, b"STORED\r\n")
    copies.engine.check(copies.now)
    assert copies.engine.unanswered_writes(copies.links[0]) == 0
    copies.reply(0, b"ERROR Too many open connections\r\n")
    assert copies.got(client) == b"STORED\r\n"
    assert copies.asked(0) == b""
    # The copy has missed the write, and does not serve.
    assert copies.engine.server_state(0) == 1
    assert copies.engine.is_stale(0)
    assert copies.engine.snapshot().servers["s0"].outcomes.keys() == {11}


def test_a_read_fails_over_from_it(copies: Network) -> None:
    client = copies.client()
    for i in range(8):
        copies.send(client, b"get k%d\r\n" % i)
    waiting = copies.asked(1).count(b"get ")
    copies.lose(0)
    asked = copies.asked(1)
    assert asked.count(b"get ") + waiting == 8
    copies.reply(1, b"END\r\n" * 8)
    assert copies.got(client) == b"END\r\n" * 8


def test_a_write_that_timed_out_there_is_no_ghost_of_a_refused_handshake(copies: Network) -> None:
    client = copies.client()
    copies.send(client, b"set a 0 0 1\r\nx\r\n")
    copies.reply(1, b"STORED\r\n")
    copies.wait(0.6)
    assert copies.got(client) == b"STORED\r\n"
    # Until the handshake ends the write may still be sent: the server needs no fence.
    assert not copies.engine.is_stale(0)
    assert copies.engine.unanswered_writes(copies.links[0]) == 0
    copies.lose(0)
    assert copies.engine.is_stale(0)
    assert copies.engine.server_state(0) == 1
    # No ghost is left: the fenced server gets requests again.
    copies.engine.set_server_state(0, 0)
    connect(copies, VERSION)
    copies.reply(0, b"VERSION 1\r\n")
    copies.asked(0)
    copies.send(client, b"set a 0 0 1\r\ny\r\n")
    assert copies.asked(0) == b"set a 0 0 1\r\ny\r\n"


def test_a_write_that_timed_out_there_is_sent_after_it(copies: Network) -> None:
    client = copies.client()
    copies.send(client, b"set a 0 0 1\r\nx\r\n")
    copies.reply(1, b"STORED\r\n")
    copies.wait(0.6)
    copies.send(client, b"set a 0 0 1\r\ny\r\n")
    copies.reply(0, b"VERSION 1\r\n")
    assert copies.asked(0) == b"set a 0 0 1\r\nx\r\nset a 0 0 1\r\ny\r\n"
    assert copies.engine.unanswered_writes(copies.links[0]) == 2


def test_every_connection_has_its_own(net: Network) -> None:
    net.engine.link_connected(net.links[0])
    net.turn()
    net.reply(0, b"STORED\r\n")
    net.asked(0)
    connect(net, VERSION)
    net.send(net.client(), b"get a\r\n")
    assert net.asked(0) == b"version\r\n"
    net.reply(0, b"VERSION 1\r\n")
    assert net.asked(0) == b"get a\r\n"
    net.reply(0, b"END\r\n")
    assert net.closed == []


def test_connecting_that_is_said_twice_is_one_handshake(net: Network) -> None:
    net.send(net.client(), b"get a\r\n")
    net.engine.open_link(0, script=SCRIPT)
    net.engine.link_connected(net.links[0])
    net.turn()
    assert net.asked(0) == b"set auth 0 0 3\r\na b\r\nversion\r\n"


def test_a_script_has_four_steps_at_most(net: Network) -> None:
    net.lose(0)
    with pytest.raises(ValueError, match="5 steps"):
        net.engine.open_link(0, script=VERSION * 5)


def test_a_handshake_that_began_before_any_time_was_known_is_not_overdue() -> None:
    """The driver has a connect timeout. The engine's time begins with the first call that passes one."""
    engine = Engine(compile_plan(PoolRoute(pool(1))))
    link = engine.open_link(0, script=VERSION)
    engine.link_connected(link)
    assert engine.take_output(link) == b"version\r\n"
    engine.check(1_000_000.0)
    assert not engine.must_close(link)
    assert engine.receive(link, b"VERSION 1\r\n", 1_000_000.1)
    assert engine.is_ready(link)
