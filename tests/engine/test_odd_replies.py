"""Replies of memcached 1.6.18 to 1.6.45 without the opaque of their request, and their meaning.

From proto_text.c, proto_parser.c, storage.c and memcached.c of these versions: `out_string`, `out_errstring`,
`pout_errstring`, and replies that are written over.
"""

from __future__ import annotations

import pytest

from mcroute.policy import PoolRoute

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

# Possible replies to a request, and their places in memcached's source. The link stays in step.
IN_ORDER = [
    # storage.c, _storage_get_item_cb: the page of a value was lost, or its checksum is wrong.
    (b"mg k v", b"EN\r\n"),
    (b"mg k v k q", b"EN\r\n"),
    (b"mg k t", b"EN\r\n"),
    # proto_text.c, process_me_command.
    (b"me k", b"EN\r\n"),
    # proto_parser.c, _meta_flag_preparse, process_mget_cmd.
    (b"mg k v", b"CLIENT_ERROR bad command line format\r\n"),
    (b"mg k v", b"CLIENT_ERROR options flags are too long\r\n"),
    (b"mg k v", b"CLIENT_ERROR error decoding key\r\n"),
    (b"mg k v", b"CLIENT_ERROR duplicate flag\r\n"),
    (b"mg k v", b"SERVER_ERROR refcount overflow during fetch\r\n"),
    (b"mg k v N9", b"SERVER_ERROR out of memory\r\n"),
    (b"mg k v", b"SERVER_ERROR output line too long\r\n"),
    # process_mset_cmd_start, and process_mset_command.
    (b"ms k 1\r\nx", b"SERVER_ERROR object too large for cache\r\n"),
    (b"ms k 1\r\nx", b"SERVER_ERROR out of memory storing object\r\n"),
    (b"ms k 1\r\nx", b"CLIENT_ERROR invalid mode for ms M token\r\n"),
    (b"ms k 1\r\nx", b"CLIENT_ERROR bad data chunk\r\n"),
    (b"ms k 1\r\nx", b"SERVER_ERROR Unhandled storage type.\r\n"),
    # process_mdelete_cmd.
    (b"md k", b"CLIENT_ERROR invalid or duplicate flag\r\n"),
    (b"md k x", b"SERVER_ERROR out of memory\r\n"),
    # process_marithmetic_cmd.
    (b"ma k", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
    (b"ma k N9", b"SERVER_ERROR Out of memory allocating new item\r\n"),
    (b"ma k", b"SERVER_ERROR out of memory\r\n"),
    (b"ma k", b"CLIENT_ERROR invalid numeric delta value\r\n"),
    # A server that is older than the command, or does not offer it.
    (b"mg k v", b"ERROR\r\n"),
    (b"mg k v", b"CLIENT_ERROR unauthenticated\r\n"),
]


def still_in_step(net: Network) -> None:
    other = net.client()
    net.send(other, b"incr n 1\r\n")
    net.reply(0, b"7\r\n")
    assert net.got(other) == b"7\r\n"
    assert net.closed == []


@pytest.mark.parametrize(("request_line", "reply"), IN_ORDER)
def test_a_reply_without_an_opaque_is_its_requests(request_line: bytes, reply: bytes) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, request_line + b"\r\n")
    net.reply(0, reply)
    assert net.got(client) == (b"" if b" q" in request_line else reply)
    still_in_step(net)


@pytest.mark.parametrize(
    ("request_line", "reply"),
    [
        (b"ms k 1\r\nx", b"HD\r\n"),
        (b"ms k 1\r\nx", b"EN\r\n"),
        (b"md k", b"NF\r\n"),
        (b"mg k v", b"MN\r\n"),
        (b"mg k v", b"EN O0\r\n"),
        (b"get k", b"EN\r\n"),
    ],
)
def test_a_reply_that_may_be_another_requests_breaks_the_link(request_line: bytes, reply: bytes) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, request_line + b"\r\n")
    net.reply(0, reply)
    assert net.closed == net.links


GET_OUT_OF_MEMORY = b"SERVER_ERROR out of memory writing get response\r\n"


def test_a_get_without_memory_discards_replies_before_it() -> None:
    """proto_text.c, process_get_command: conn_release_items drops earlier replies."""
    net = network(PoolRoute(pool(1)), 1)
    first, second = net.client(), net.client()
    net.send(first, b"incr k 1\r\n")
    net.send(second, b"get k\r\n")
    net.reply(0, GET_OUT_OF_MEMORY)
    assert net.closed == net.links
    assert net.got(first) == b"SERVER_ERROR connection to the server lost\r\n"


def test_alone_it_is_a_refusal() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"get k\r\n")
    net.reply(0, GET_OUT_OF_MEMORY)
    assert net.got(client) == GET_OUT_OF_MEMORY
    still_in_step(net)


def test_an_error_about_the_connection_breaks_the_link() -> None:
    """memcached.c, try_read_network: it closes then."""
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"set k 0 0 1\r\nx\r\n")
    net.reply(0, b"SERVER_ERROR out of memory reading request\r\n")
    assert net.closed == net.links


def test_a_set_without_memory_is_refused_in_its_turn() -> None:
    """memcached.c, conn_nread: it answers, reads past the rest of the value, and goes on."""
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"set k 0 0 1\r\nx\r\n")
    net.reply(0, b"SERVER_ERROR Out of memory during read\r\n")
    assert net.got(client) == b"SERVER_ERROR Out of memory during read\r\n"
    still_in_step(net)


@pytest.mark.parametrize(
    ("request_bytes", "reply"),
    [
        (b"delete k\r\n", b"STORED\r\n"),
        (b"set k 0 0 1\r\nx\r\n", b"DELETED\r\n"),
        (b"incr k 1\r\n", b"TOUCHED\r\n"),
        (b"touch k 1\r\n", b"7\r\n"),
        (b"flush_all\r\n", b"NOT_FOUND\r\n"),
        (b"delete k\r\n", b"NF O1\r\n"),
    ],
)
def test_a_reply_that_no_server_gives_to_the_command_closes_the_link(
    request_bytes: bytes, reply: bytes
) -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, request_bytes)
    net.reply(0, reply)
    assert net.closed == [net.links[0]]
    assert net.got(client).startswith(b"SERVER_ERROR ")
