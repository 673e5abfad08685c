"""A client that authenticates gets an error; no password becomes a value."""

from __future__ import annotations

import pytest

from mcroute.policy import Limits, PoolRoute
from mcroute.policy.limits import Authentication

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

REFUSED = b"CLIENT_ERROR authentication is not offered through mcroute\r\n"
BY_CLIENTS = [
    b"set auth 0 0 9\r\nuser pass\r\n",
    b"set auth x 0 9\r\nuser pass\r\n",
    b"set auth _ _ 9\r\nuser pass\r\n",
    b"set ASCII_AUTH 0 0 9\r\nuser pass\r\n",
]
ORDINARY = [
    b"set greeting 0 0 11\r\nhello world\r\n",
    b"set auth 0 0 4\r\nuser\r\n",
    b"set auth 0 0 5\r\n user\r\n",
    b"set auth 0 0 5\r\nuser \r\n",
    b"set auth 0 0 5\r\na b c\r\n",
    b"set auth 0 0 6\r\na b\r\nc\r\n",
    b"set auth 0 0 0\r\n\r\n",
    b"add auth 0 0 9\r\nuser pass\r\n",
]


def proxy(how: Authentication = Authentication.KNOWN_KEYS) -> Network:
    net = network(PoolRoute(pool(1)), 1)
    net.engine.set_limits(Limits(authentication=how))
    return net


@pytest.mark.parametrize("data", BY_CLIENTS)
@pytest.mark.parametrize("step", [1, 10, 1000])
def test_the_first_set_of_a_connection_is_refused_if_it_authenticates(data: bytes, step: int) -> None:
    net = proxy()
    client = net.client()
    for at in range(0, len(data), step):
        net.send(client, data[at : at + step])
    assert net.asked(0) == b""
    assert net.got(client) == REFUSED
    net.send(client, b"version\r\n")
    assert net.got(client) == b"VERSION 1.6.45\r\n"
    # Later it is an ordinary set.
    net.send(client, BY_CLIENTS[0])
    assert net.asked(0) == BY_CLIENTS[0]


@pytest.mark.parametrize("data", ORDINARY)
def test_a_set_that_only_looks_like_authentication_is_stored(data: bytes) -> None:
    net = proxy()
    net.send(net.client(), data)
    assert net.asked(0) == data


def test_a_noreply_is_no_question() -> None:
    net = proxy()
    client = net.client()
    net.send(client, b"set auth 0 0 9 noreply\r\nuser pass\r\nversion\r\n")
    assert net.asked(0) == b"set auth 0 0 9\r\nuser pass\r\n"


def test_any_key_may_be_an_authentication() -> None:
    net = proxy(Authentication.ANY_KEY)
    client = net.client()
    net.send(client, b"set foo 0 0 7\r\nfoo bar\r\n")
    assert (net.asked(0), net.got(client)) == (b"", REFUSED)
    net.send(net.client(), b"set foo 0 0 3\r\nbar\r\n")
    assert net.asked(0) == b"set foo 0 0 3\r\nbar\r\n"


def test_no_set_is_authentication_without_an_authentication_key() -> None:
    net = proxy(Authentication.NO_KEY)
    net.send(net.client(), BY_CLIENTS[0])
    assert net.asked(0) == BY_CLIENTS[0]
