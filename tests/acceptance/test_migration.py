"""A real client writes keys; mcroute, configured as its replacement, reads the keys where they are."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcroute.asyncio import Client
from mcroute.placement import Like
from mcroute.policy import Pool, PoolRoute, Server
from mcroute.testing import MemcachedServer, find_memcached
from tests.golden import programs

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="needs a memcached"),
]

KEYS = [f"user:{i}:profile" for i in range(60)]
KEYS += [f"a{{{i}}}b" for i in range(20)] + [f"{i}|#|tail" for i in range(20)]
SERVERS = 4
Ports = list[int]


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer()).port for _ in range(SERVERS)]


async def read(ports: Ports, like: Like, keys: list[str]) -> dict[str, bytes]:
    """The values that mcroute finds; the keys are as they go over the wire."""
    servers = tuple(Server(f"127.0.0.1:{port}", "127.0.0.1", port) for port in ports)
    async with Client(PoolRoute(Pool("main", servers, placement=like))) as client:
        found: dict[str, bytes] = await client.get_many(keys)
        await client.flush_all()
    return found


def moved(ports: Ports, like: Like, prefix: str = "") -> None:
    wire = [prefix + key for key in KEYS]
    found = asyncio.run(read(ports, like, wire))
    assert found == {prefix + key: key.encode() for key in KEYS}


# ---- clients


def addresses(ports: Ports) -> list[str]:
    return [f"127.0.0.1:{port}" for port in ports]


def pylibmc(ports: Ports, options: dict[str, Any]) -> None:
    client = importlib.import_module("pylibmc").Client(addresses(ports), **options)
    for key in KEYS:
        client.set(key, key.encode())


def pymemcache(ports: Ports, options: dict[str, Any]) -> None:
    library = importlib.import_module("pymemcache")
    client = library.HashClient(addresses(ports), key_prefix=options["key_prefix"].encode())
    for key in KEYS:
        client.set(key.encode() if options["key_type"] == "bytes" else key, key)
    client.close()


def libmc(ports: Ports, options: dict[str, Any]) -> None:
    library = importlib.import_module("libmc")
    words = {
        "md5": library.MC_HASH_MD5,
        "fnv1a_32": library.MC_HASH_FNV1A_32,
        "crc_32": library.MC_HASH_CRC_32,
    }
    client = library.Client(addresses(ports), hash_fn=words[options["hash"]], prefix=options.get("prefix"))
    for key in KEYS:
        assert client.set(key, key.encode())
    client.quit()


def emcache(ports: Ports, options: dict[str, Any]) -> None:
    library = importlib.import_module("emcache")

    async def write() -> None:
        client = await library.create_client(
            [library.MemcachedHostAddress("127.0.0.1", port) for port in ports]
        )
        for key in KEYS:
            await client.set(key.encode(), key.encode())
        await client.close()

    asyncio.run(write())


def meta_memcache(ports: Ports, options: dict[str, Any]) -> None:
    library = importlib.import_module("meta_memcache")
    servers = [library.ServerAddress("127.0.0.1", port) for port in ports]
    factory = library.connection_pool_factory_builder()
    client = library.CacheClient.cache_client_from_servers(servers, factory)
    for key in KEYS:
        assert client.set(library.Key(key), key.encode(), ttl=60)


def python_memcached(ports: Ports, options: dict[str, Any]) -> None:
    client = importlib.import_module("memcache").Client(addresses(ports))
    for key in KEYS:
        client.set(key, key.encode())
    client.disconnect_all()


def bmemcached(ports: Ports, options: dict[str, Any]) -> None:
    client = importlib.import_module("bmemcached").DistributedClient(addresses(ports))
    for key in KEYS:
        client.set(key, key.encode())
    client.disconnect_all()


CLIENTS: list[tuple[str, Callable[[Ports, dict[str, Any]], None], dict[str, Any], Like, str]] = [
    *(
        ("pylibmc", pylibmc, {"behaviors": behaviors}, Like("pylibmc", {"behaviors": behaviors}), "")
        for behaviors in (
            {},
            {"ketama": True},
            {"ketama_weighted": True},
            {"ketama": True, "hash": "md5"},
            {"distribution": "consistent", "hash": "fnv1a_32"},
            {"hash": "murmur"},
        )
    ),
    *(
        ("pymemcache", pymemcache, options, Like("pymemcache", options), options["key_prefix"])
        for options in (
            {"key_type": "str", "key_prefix": ""},
            {"key_type": "bytes", "key_prefix": ""},
            {"key_type": "str", "key_prefix": "app:"},
        )
    ),
    *(
        ("libmc", libmc, options, Like("libmc", options), options.get("prefix", ""))
        for options in (
            {"hash": "md5"},
            {"hash": "fnv1a_32"},
            {"hash": "crc_32"},
            {"hash": "md5", "prefix": "app:"},
        )
    ),
    ("emcache", emcache, {}, Like("emcache"), ""),
    ("meta_memcache", meta_memcache, {}, Like("meta-memcache"), ""),
    ("memcache", python_memcached, {}, Like("python-memcached"), ""),
    ("bmemcached", bmemcached, {}, Like("python-binary-memcached"), ""),
]


@pytest.mark.parametrize(
    ("module", "write", "options", "like", "prefix"),
    CLIENTS,
    ids=[f"{row[0]}-{i}" for i, row in enumerate(CLIENTS)],
)
# Connections that other projects' clients leave open are not tested here.
@pytest.mark.filterwarnings("ignore")
def test_values_that_a_client_wrote_are_found(
    ports: Ports,
    module: str,
    write: Callable[[Ports, dict[str, Any]], None],
    options: dict[str, Any],
    like: Like,
    prefix: str,
) -> None:
    pytest.importorskip(module)
    write(ports, options)
    moved(ports, like, prefix)


# ---- proxies


def write_through(port: int) -> None:
    """Sets without a handshake: proxies do not answer every command."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link, link.makefile("rb") as replies:
        for key in KEYS:
            data = key.encode()
            link.sendall(b"set %b 0 0 %d\r\n%b\r\n" % (data, len(data), data))
            assert replies.readline() == b"STORED\r\n"


@pytest.mark.skipif(programs.find_nutcracker() is None, reason="needs nutcracker")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hash": "md5", "distribution": "ketama", "hash_tag": "{}"},
        {"hash": "murmur", "distribution": "modula"},
        {"hash": "crc32a", "distribution": "ketama"},
    ],
)
def test_values_written_through_twemproxy_are_found(ports: Ports, options: dict[str, Any]) -> None:
    rows = [("127.0.0.1", port, 1, None) for port in ports]
    with programs.nutcracker(rows, options) as port:
        write_through(port)
    moved(ports, Like("twemproxy", options))


@pytest.mark.skipif(programs.find_proxying_memcached() is None, reason="needs a memcached with its proxy")
@pytest.mark.parametrize(
    "options",
    [
        {"dist": "jump"},
        {"dist": "jump", "seed": "abc", "filter": "stop", "filter_conf": "|#|"},
        {"dist": "ring", "hash": "md5", "omode": "ketama", "filter": "tags", "filter_conf": "{}"},
        {"dist": "ring", "omode": "evcache"},
    ],
)
def test_values_written_through_memcacheds_proxy_are_found(ports: Ports, options: dict[str, Any]) -> None:
    rows = [("127.0.0.1", port, 1, None) for port in ports]
    with programs.memcached_proxy(rows, options) as port:
        write_through(port)
    moved(ports, Like("memcached-proxy", options))
