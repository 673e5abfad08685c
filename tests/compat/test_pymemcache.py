"""A HashClient whose keys a ring places."""

from __future__ import annotations

import pytest
from pymemcache.client.hash import HashClient

from mcroute import Ring
from mcroute.compat.pymemcache import RingHasher
from mcroute.errors import ConfigError
from mcroute.testing import EmbeddedServer

NODES = [f"10.0.0.{i}:11211" for i in range(1, 6)]
KEYS = [f"user:{i}" for i in range(300)]


def test_it_places_as_a_ring_of_the_same_names() -> None:
    hasher, ring = RingHasher(NODES), Ring(NODES)
    assert [hasher.get_node(key) for key in KEYS] == [ring.servers[ring.owner(key)] for key in KEYS]


def test_it_places_as_another_system() -> None:
    hasher, ring = RingHasher.like("twemproxy", hash="md5")(), Ring.like("twemproxy", NODES, hash="md5")
    for node in NODES:
        hasher.add_node(node)
    assert [hasher.get_node(key) for key in KEYS] == [NODES[ring.owner(key)] for key in KEYS]


def test_a_removed_node_keeps_its_place() -> None:
    hasher = RingHasher(NODES)
    before = [hasher.get_node(key) for key in KEYS]
    hasher.remove_node(NODES[2])
    without = [hasher.get_node(key) for key in KEYS]
    assert NODES[2] not in without
    moved = [old for old, new in zip(before, without, strict=True) if old != new]
    assert set(moved) == {NODES[2]}
    hasher.add_node(NODES[2])
    assert [hasher.get_node(key) for key in KEYS] == before


def test_there_may_be_nobody() -> None:
    hasher = RingHasher()
    assert hasher.get_node("key") is None
    hasher.add_node("/run/a.sock")
    assert hasher.get_node("key") == "/run/a.sock"
    hasher.remove_node("/run/a.sock")
    assert hasher.get_node("key") is None
    with pytest.raises(ValueError, match="no such node"):
        hasher.remove_node("/run/a.sock")
    with pytest.raises(ValueError, match="no such node"):
        hasher.remove_node("b:1")


def test_a_system_that_has_nobody_else_for_a_key() -> None:
    hasher = RingHasher.like("twemproxy", out="theirs")()
    for node in [*NODES, "::1:11211"]:
        hasher.add_node(node)
    owner = hasher.get_node("key")
    assert owner is not None
    hasher.remove_node(owner)
    assert hasher.get_node("key") is None


def test_refusals_come_with_the_first_key() -> None:
    hasher = RingHasher.like("twemproxy", distribution="random")()
    hasher.add_node(NODES[0])
    with pytest.raises(ConfigError, match="no place that could be kept"):
        hasher.get_node("key")


def test_a_hash_client_writes_where_the_ring_says() -> None:
    with EmbeddedServer() as first, EmbeddedServer() as second:
        servers = [(server.host, server.port) for server in (first, second)]
        ring = Ring.like("libmc", servers)
        client = HashClient(servers, hasher=RingHasher.like("libmc"))
        for key in KEYS[:20]:
            client.set(key, key)
            alone = HashClient([servers[ring.owner(key)]])
            assert alone.get(key) == key.encode()
            alone.close()
        client.close()
