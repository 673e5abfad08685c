"""What is said on a link before its first request."""

import pytest

from mcroute.policy import PoolRoute

from .network import Network, pool

SCRIPT = ((b"set auth 0 0 3\r\na b\r\n", b"STORED"), (b"version\r\n", b"VERSION "))


@pytest.fixture
def net() -> Network:
    net = Network(PoolRoute(pool(1)), 1)
    net.lose(0)
    net.engine.open_link(0, script=SCRIPT)
    return net


def test_the_script_goes_first_and_is_answered_to_nobody(net: Network) -> None:
    client = net.client()
    net.send(client, b"get a\r\n")
    net.engine.link_connected(net.links[0])
    assert net.asked(0) == b"set auth 0 0 3\r\na b\r\nversion\r\nget a\r\n"
    assert net.engine.greeting(net.links[0]) == b""
    assert net.engine.unanswered_writes(net.links[0]) == 0
    net.reply(0, b"STORED\r\nVERSION 1.6.45\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE a 0 1\r\nx\r\nEND\r\n"
    assert net.engine.greeting(net.links[0]) == b"VERSION 1.6.45"
    assert net.engine.unanswered(net.links[0]) == 0


@pytest.mark.parametrize(
    "reply", [b"CLIENT_ERROR authentication failure\r\n", b"END\r\n", b"-ERR unknown\r\n", b"\n"]
)
def test_a_server_that_says_something_else_is_left(net: Network, reply: bytes) -> None:
    client = net.client()
    net.send(client, b"get a\r\n")
    net.reply(0, reply)
    assert net.closed == [net.links[0]]
    assert net.got(client) == b"SERVER_ERROR connection to the server lost\r\n"
    assert net.engine.greeting(net.links[0]) == reply.strip()


def test_every_connection_has_its_own(net: Network) -> None:
    net.reply(0, b"STORED\r\n")
    net.lose(0)
    net.asked(0)
    net.engine.open_link(0, script=SCRIPT[1:])
    net.send(net.client(), b"get a\r\n")
    assert net.asked(0) == b"version\r\nget a\r\n"
    net.reply(0, b"VERSION 1\r\nEND\r\n")
    assert net.closed == []


def test_connecting_that_is_said_twice_is_one_handshake(net: Network) -> None:
    net.send(net.client(), b"get a\r\n")
    net.engine.open_link(0, script=SCRIPT)
    assert net.asked(0) == b"set auth 0 0 3\r\na b\r\nversion\r\nget a\r\n"


def test_a_script_has_four_steps_at_most(net: Network) -> None:
    net.lose(0)
    with pytest.raises(ValueError, match="5 steps"):
        net.engine.open_link(0, script=SCRIPT[1:] * 5)
