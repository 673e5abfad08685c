"""Hedged reads on real servers, with every driver: a server that has stopped delays no read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mcroute.policy import Pool, Replicate, Server, Upkeep
from mcroute.testing import MemcachedServer, find_memcached

from .clients import Client
from .drivers import DRIVERS, NATIVE, Run, runner, start_proxy
from .stops import Settings, stops

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

KEYS = [f"k{i}" for i in range(40)]
HEDGED_KEYS = " ".join(KEYS)


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer()) for _ in range(3)]


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(driver: str) -> Run:
    return runner(driver)


def route(servers: list[MemcachedServer]) -> Replicate:
    """The server that has stopped is in service for longer than the test runs."""
    members = tuple(Server(f"s{i}", server.host, server.port) for i, server in enumerate(servers))
    times = {"reply_timeout_s": 100.0, "deadline_s": 200.0, "hedge_after_s": 0.005, "hedge_percentile": 0.0}
    return Replicate(Pool("main", members, **times), copies=2)


async def until_hedges(client: Client, server: MemcachedServer, key: str) -> None:
    """Returns when the times of hedges are known: before, reads of the stopped server wait for it."""
    while (await client.stats())["hedges"] == "0":
        server.pause()
        task = asyncio.ensure_future(client.get(key))
        await asyncio.sleep(0.2)
        server.resume()
        await task


def test_a_server_that_has_stopped_delays_no_read(
    driver: str, run: Run, servers: list[MemcachedServer]
) -> None:
    hedged = route(servers)

    async def scenario() -> None:
        proxy = await start_proxy(driver, hedged, upkeep=Upkeep(hedges_look_s=0.02))
        try:
            client = await Client.to(proxy)
            for key in KEYS:
                await client.ask(f"set {key} 0 0 5\r\nvalue\r\n".encode())
            ring = hedged.pool.ring()
            await until_hedges(
                client, servers[0], next(k for k in KEYS if ring.owners(k.encode(), 1)[0] == 0)
            )
            servers[0].pause()
            for _ in range(3):
                for key in KEYS:
                    assert await client.get(key) == b"value"
                reply = await client.ask(f"get {HEDGED_KEYS}\r\n".encode(), b"END\r\n")
                assert reply == b"".join(f"VALUE {k} 0 5\r\nvalue\r\n".encode() for k in KEYS) + b"END\r\n"
                assert (await client.ask(b"mg k1 v\r\n", b"value\r\n")) == b"VA 5\r\nvalue\r\n"
            rows = await client.stats("servers")
            assert rows["s0:state"] == "up"
            assert int(rows["s0:hedges"]) > 0
            servers[0].resume()
            # Its late replies are discarded, and it serves as before.
            for key in KEYS:
                assert await client.get(key) == b"value"
                assert await client.ask(f"set {key} 0 0 3\r\nnew\r\n".encode()) == b"STORED\r\n"
                assert await client.get(key) == b"new"
            await client.close()
        finally:
            servers[0].resume()
            await proxy.close()

    run(scenario())


@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_no_request_fails_while_servers_stop(driver: str, tmp_path: Path) -> None:
    outcome = asyncio.run(stops(Settings(stops=2, rate=100.0, driver=driver), tmp_path))
    assert outcome.failed == [0, 0]
    assert int(outcome.stats["hedges"]) > 0
