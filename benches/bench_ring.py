"""The cost of placement, next to other libraries.

    PYTHONPATH=src pytest benches/bench_ring.py --benchmark-group-by=group --benchmark-columns=min,median

Keys are 30 characters, 1000 per round; divide by 1000 for one key. Building makes 160 points per server.
"""

import zlib
from collections.abc import Callable

import mmh3
import pytest
from pymemcache.client.rendezvous import RendezvousHash
from uhashring import HashRing

from mcroute._ring import Ring
from mcroute.placement import DISTRIBUTIONS

KEYS = [f"user:{i:016d}:profile" for i in range(1000)]
BYTES = [key.encode() for key in KEYS]


def names(servers: int) -> list[str]:
    return [f"10.0.{i // 250}.{i % 250}:11211" for i in range(servers)]


def call_each(function: Callable[[object], object], keys: list) -> None:
    for key in keys:
        function(key)


@pytest.mark.parametrize("keys", [KEYS, BYTES], ids=["str", "bytes"])
@pytest.mark.benchmark(group="one key")
def test_mmh3_hash(benchmark, keys) -> None:
    benchmark(call_each, mmh3.hash, keys)


@pytest.mark.benchmark(group="one key")
def test_zlib_crc32(benchmark) -> None:
    benchmark(call_each, zlib.crc32, BYTES)


@pytest.mark.parametrize("servers", [10, 1000])
@pytest.mark.parametrize("keys", [KEYS, BYTES], ids=["str", "bytes"])
@pytest.mark.benchmark(group="one key")
def test_owner(benchmark, keys, servers: int) -> None:
    benchmark(call_each, Ring(names(servers)).owner, keys)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS[1:])
@pytest.mark.benchmark(group="one key")
def test_owner_of_other_distributions(benchmark, distribution: str) -> None:
    benchmark(call_each, Ring(names(10), distribution).owner, KEYS)


@pytest.mark.benchmark(group="one key")
def test_owner_skipping_one(benchmark) -> None:
    owner = Ring(names(10)).owner
    benchmark(call_each, lambda key: owner(key, [1]), KEYS)


@pytest.mark.parametrize("servers", [10, 1000])
@pytest.mark.benchmark(group="one key")
def test_route_many(benchmark, servers: int) -> None:
    benchmark(Ring(names(servers)).route_many, KEYS)


@pytest.mark.parametrize("servers", [10, 1000])
@pytest.mark.benchmark(group="one key")
def test_uhashring_get_node(benchmark, servers: int) -> None:
    benchmark(call_each, HashRing(names(servers)).get_node, KEYS)


@pytest.mark.benchmark(group="one key")
def test_pymemcache_rendezvous(benchmark) -> None:
    benchmark(call_each, RendezvousHash(names(10)).get_node, KEYS)


@pytest.mark.parametrize("distribution", ["murmur3", "ketama"])
@pytest.mark.benchmark(group="build 1000 servers")
def test_build(benchmark, distribution: str) -> None:
    benchmark.pedantic(Ring, (names(1000), distribution), rounds=20)


@pytest.mark.benchmark(group="build 1000 servers")
def test_uhashring_build(benchmark) -> None:
    benchmark.pedantic(HashRing, (names(1000),), rounds=3)
