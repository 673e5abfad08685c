"""A server whose items somebody else flushes is named in the log, and serves on, with every driver."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from mcroute.policy import Pool, Replicate, Server
from mcroute.testing import MemcachedServer, find_memcached

from .clients import Client
from .drivers import DRIVERS, runner, start_proxy

pytestmark = pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH")

KEYS = [f"k{i}" for i in range(60)]


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer()) for _ in range(3)]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_was_flushed_from_outside_is_named(
    driver: str, servers: list[MemcachedServer], caplog: pytest.LogCaptureFixture
) -> None:
    members = tuple(Server(f"s{i}", server.host, server.port) for i, server in enumerate(servers))

    async def scenario() -> None:
        proxy = await start_proxy(driver, Replicate(Pool("main", members), copies=2))
        client = await Client.to(proxy)
        try:
            for key in KEYS:
                assert await client.ask(f"set {key} 0 0 1\r\nx\r\n".encode()) == b"STORED\r\n"
            end = asyncio.get_running_loop().time() + 4
            while asyncio.get_running_loop().time() < end:
                await read_all(client)
            outside = await Client.to(servers[0])
            with contextlib.closing(outside.writer):
                assert await outside.ask(b"flush_all\r\n") == b"OK\r\n"
            while "server s0 has fewer hits than the other servers of its pool: " not in caplog.text:
                await read_all(client)
            rows = await client.stats("servers")
            assert rows["s0:state"] == "up"
            assert int(rows["s0:misses"]) > 0
            assert "server s1 has fewer hits" not in caplog.text
        finally:
            await client.close()
            await proxy.close()

    with caplog.at_level(logging.WARNING, logger="mcroute"):
        runner(driver)(scenario())


async def read_all(client: Client) -> None:
    """The copies have what the flushed server misses."""
    for key in KEYS:
        assert await client.get(key) == b"x"
