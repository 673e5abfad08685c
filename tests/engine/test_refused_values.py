"""A value that is too large deletes the old one before its client gets the refusal."""

from __future__ import annotations

import pytest

from mcroute.policy import Limits, PoolRoute, Replicate

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

REFUSAL = b"SERVER_ERROR object too large for cache\r\n"


def narrow(copies: int) -> Network:
    route = Replicate(pool(2), copies=2) if copies == 2 else PoolRoute(pool(1))
    net = network(route, copies)
    net.engine.set_limits(Limits(value_max=10))
    return net


@pytest.mark.parametrize("command", [b"set k 0 0 11", b"ms k 11", b"ms aw== 11 b"])
def test_a_refusal_is_answered_once_every_copy_has_deleted_the_old_value(command: bytes) -> None:
    net = narrow(2)
    client = net.client()
    net.send(client, command + b"\r\n" + b"x" * 11 + b"\r\n")
    for server in (0, 1):
        assert net.got(client) == b""
        assert net.asked(server).startswith(b"md aw== b" if b"aw==" in command else b"md k ")
        net.reply(server, b"HD O1\r\n")
    assert net.got(client) == REFUSAL
    net.send(client, b"version\r\n")
    assert net.got(client).startswith(b"VERSION ")


def test_noreply_has_none_and_later_requests_wait_for_the_delete() -> None:
    net = narrow(1)
    client = net.client()
    net.send(client, b"set k 0 0 11 noreply\r\n" + b"x" * 11 + b"\r\nversion\r\n")
    assert net.got(client) == b""
    net.reply(0, b"NF O1\r\n")
    assert net.got(client).startswith(b"VERSION ")


def test_a_refusal_is_answered_though_the_delete_times_out() -> None:
    net = narrow(1)
    client = net.client()
    net.send(client, b"set k 0 0 11\r\n" + b"x" * 11 + b"\r\n")
    net.wait(5)
    assert net.got(client) == REFUSAL


@pytest.mark.parametrize("command", [b"add k 0 0 11", b"append k 0 0 11"])
def test_other_refused_writes_keep_the_old_value(command: bytes) -> None:
    net = narrow(1)
    client = net.client()
    net.send(client, command + b"\r\n" + b"x" * 11 + b"\r\n")
    assert net.got(client) == REFUSAL
    assert net.asked(0) == b""


def test_the_old_value_is_deleted_though_the_client_closes() -> None:
    net = narrow(1)
    client = net.client()
    net.send(client, b"set k 0 0 11\r\n" + b"x" * 11 + b"\r\n")
    net.engine.close(client, net.now)
    net.reply(0, b"HD O1\r\n")
    other = net.client()
    net.send(other, b"version\r\n")
    assert net.got(other).startswith(b"VERSION ")
