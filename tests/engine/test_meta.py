"""Meta commands: our opaque goes out, the client's comes back, quiet ones keep quiet."""

import re

import pytest

from mcroute.policy import Null, PoolRoute, Replicate

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture
def one() -> Network:
    return network(PoolRoute(pool(1)), 1)


def opaque(request: bytes) -> bytes:
    """The opaque of the only request in these bytes."""
    return re.findall(rb" O(\d+)", request)[0]


@pytest.mark.parametrize(
    ("request_bytes", "sent", "reply", "answer"),
    [
        (b"mg k v\r\n", b"mg k v O%s\r\n", b"VA 1 O%s\r\nx\r\n", b"VA 1\r\nx\r\n"),
        (b"mg k\r\n", b"mg k O%s\r\n", b"HD O%s\r\n", b"HD\r\n"),
        (b"mg k v Oabc s\r\n", b"mg k v O%s s\r\n", b"VA 1 O%s s1\r\nx\r\n", b"VA 1 Oabc s1\r\nx\r\n"),
        (b"mg k v O q\r\n", b"mg k v O%s\r\n", b"VA 1 O%s\r\nx\r\n", b"VA 1 O\r\nx\r\n"),
        (b"mg k v q\r\n", b"mg k v O%s\r\n", b"EN O%s\r\n", b""),
        (b"mg k v\r\n", b"mg k v O%s\r\n", b"EN O%s\r\n", b"EN\r\n"),
        (b"ms k 2 T9 k\r\nab\r\n", b"ms k 2 T9 k O%s\r\nab\r\n", b"HD kk O%s\r\n", b"HD kk\r\n"),
        (b"ms k 2 q\r\nab\r\n", b"ms k 2 O%s\r\nab\r\n", b"HD O%s\r\n", b""),
        (b"ms k 2 q Ox\r\nab\r\n", b"ms k 2 O%s\r\nab\r\n", b"NS O%s\r\n", b"NS Ox\r\n"),
        (b"md k q\r\n", b"md k O%s\r\n", b"HD O%s\r\n", b""),
        (b"md k q\r\n", b"md k O%s\r\n", b"NF O%s\r\n", b"NF\r\n"),
        (b"ma k v\r\n", b"ma k v O%s\r\n", b"VA 2 O%s\r\n10\r\n", b"VA 2\r\n10\r\n"),
        (b"ma k v\r\n", b"ma k v O%s\r\n", b"CLIENT_ERROR x\r\n", b"CLIENT_ERROR x\r\n"),
    ],
)
def test_the_opaque_is_ours_on_the_way(
    one: Network, request_bytes: bytes, sent: bytes, reply: bytes, answer: bytes
) -> None:
    client = one.client()
    one.send(client, request_bytes + b"mn\r\n")
    asked = one.asked(0)
    token = opaque(asked)
    assert asked == sent.replace(b"%s", token)
    one.reply(0, reply.replace(b"%s", token))
    assert one.got(client) == answer + b"MN\r\n"


@pytest.mark.parametrize("reply", [b"HD\r\n", b"HD O999\r\n", b"VA 1 O999\r\nx\r\n"])
def test_a_reply_without_our_opaque_is_nobodys(one: Network, reply: bytes) -> None:
    client = one.client()
    one.send(client, b"mg k v\r\n")
    one.reply(0, reply)
    assert one.got(client) == b"SERVER_ERROR connection to the server lost\r\n"
    assert one.closed == [one.links[0]]


def test_a_meta_set_and_a_meta_add_reach_both_copies() -> None:
    net = network(Replicate(pool(3), copies=2), 3)
    owners = pool(3).ring().owners(b"k1", 2)
    client = net.client()
    net.send(client, b"ms k1 1\r\nx\r\n")
    for server in owners:
        net.reply(server, b"HD O%s\r\n" % opaque(net.asked(server)))
    assert net.got(client) == b"HD\r\n"
    net.send(client, b"ms k1 1 ME\r\nx\r\n")
    for server in owners:
        look = net.asked(server)
        assert look.startswith(b"mg k1 u O")
        net.reply(server, b"EN O%s\r\n" % opaque(look))
    for server in owners:
        add = net.asked(server)
        assert add.startswith(b"ms k1 1 ME O")
        assert net.got(client) == b""
        net.reply(server, b"HD O%s\r\n" % opaque(add))
    assert net.got(client) == b"HD\r\n"


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"mg k v O1 k\r\n", b"EN\r\n"),
        (b"mg k v q\r\n", b""),
        (b"ms k 1 k Oab\r\nx\r\n", b"NS kk Oab\r\n"),
        (b"md k Oab q k\r\n", b"NF Oab kk\r\n"),
        (b"ma a2V5 b k N0\r\n", b"NF ka2V5 b\r\n"),
    ],
)
def test_a_reply_that_no_server_gave_carries_the_clients_flags(request_: bytes, reply: bytes) -> None:
    net = network(Null(), 0)
    client = net.client()
    net.send(client, request_)
    assert net.got(client) == reply


def test_the_delete_of_another_copy_of_a_base64_key_carries_an_opaque() -> None:
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"ma Zm9v b v\r\n")
    asked = [net.asked(0), net.asked(1)]
    first = 0 if asked[0] else 1
    net.reply(first, b"VA 1 b O1\r\n5\r\n")
    assert net.asked(1 - first) == b"md Zm9v b O2\r\n"
    assert net.got(client) == b""
    net.reply(1 - first, b"NF O2\r\n")
    assert net.got(client) == b"VA 1 b\r\n5\r\n"
