"""The engine asks the servers where another system has put the keys."""

from __future__ import annotations

import pytest

from mcroute import Ring
from mcroute.placement import Like
from mcroute.policy import PoolRoute
from tests.engine.network import Network, pool

KEYS = ["a{user}b", "user", "x{user}", "/r/c/key|#|tail", "key|#|other", "plain"]


@pytest.mark.parametrize(
    "like",
    [
        Like("twemproxy", {"hash_tag": "{}"}),
        Like("mcrouter"),
        Like("memcached-proxy", {"filter": "stop", "filter_conf": "|#|"}),
        Like("pymemcache", {"key_prefix": "us"}),
    ],
    ids=lambda like: like.system,
)
def test_a_request_goes_where_the_system_has_the_key(like: Like) -> None:
    placed = pool(4, placement=like)
    servers = [(s.host, s.port, 1, s.name) for s in placed.servers]
    ring = Ring.like(like.system, servers, keys="wire", **like.options)
    network = Network(PoolRoute(placed), 4)
    client = network.client()
    for key in KEYS:
        network.send(client, f"get {key}\r\n".encode())
        asked = [server for server in range(4) if network.asked(server)]
        assert asked == [ring.owner(key)]
        network.reply(asked[0], b"END\r\n")
        assert network.got(client) == b"END\r\n"


def test_keys_of_one_tag_are_one_multiget() -> None:
    network = Network(PoolRoute(pool(4, placement=Like("twemproxy", {"hash_tag": "{}"}))), 4)
    network.send(network.client(), b"get a{user} b{user} c{user}\r\n")
    assert sorted(network.asked(server) for server in range(4))[:3] == [b"", b"", b""]


def test_a_system_that_has_nobody_else_answers_an_error() -> None:
    placed = pool(3, placement=Like("twemproxy", {"out": "theirs"}), trip_after=1)
    network = Network(PoolRoute(placed), 3)
    client = network.client()
    network.send(client, b"get key\r\n")
    owner = next(server for server in range(3) if network.asked(server))
    network.lose(owner)
    assert network.got(client).startswith(b"SERVER_ERROR")
    assert placed.ring().candidates("key") == [owner]
