"""Proxies and clients take the time of day and the addresses of names from their environment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mcroute.asyncio import Client
from mcroute.drivers.asyncio.clock import AsyncioClock
from mcroute.drivers.asyncio.environment import Environment
from mcroute.drivers.asyncio.lookup_threads import Answer
from mcroute.drivers.asyncio.lookups import Lookups
from mcroute.policy import Pool, PoolRoute, compile_plan
from mcroute.testing import EmbeddedServer

from .drivers import DRIVERS, runner, start_proxy


class Table:
    """A `NameService` that answers at once."""

    def __init__(self, **known: Sequence[str]) -> None:
        self.known = known

    def look_up(self, host: str, rank: int, answer: Answer) -> None:
        answer(self.known.get(host) or OSError(f"no such name: {host}"))


class In2001(AsyncioClock):
    def wall(self) -> float:
        return 1_000_000_000.5


def environment(**known: Sequence[str]) -> Environment:
    lookups = Lookups(Table(**known))
    return Environment(clock=In2001, lookups=lambda: lookups)


def route(port: int) -> PoolRoute:
    return PoolRoute(Pool("main", Pool.of("main", [f"cache:{port}"]).servers, reply_timeout_s=20))


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_proxy_in_another_environment(driver: str) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:
            proxy = await start_proxy(
                driver, route(server.port), environment=environment(cache=["127.0.0.1"])
            )
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                writer.write(b"set k 0 0 1\r\nx\r\nstats\r\nstats settings\r\n")
                assert await reader.readline() == b"STORED\r\n"
                assert b"STAT time 1000000000\r\n" in await reader.readuntil(b"END\r\n")
                # Asked on connections outside of the links, to the address of the same lookup.
                assert b"STAT cache:%d:" % server.port in await reader.readuntil(b"END\r\n")
                assert proxy.observe().started_at == 1_000_000_000.5
                writer.close()
            finally:
                await proxy.close()

    runner(driver)(scenario())


def test_a_client_in_another_environment() -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:
            here = environment(cache=["127.0.0.1"])
            async with Client(compile_plan(route(server.port)), environment=here) as client:
                assert await client.set("k", "x")
                assert await client.get("k") == b"x"
                assert list((await client.version()).values()) != [None]
            async with Client.of(f"cache:{server.port}", environment=here) as client:
                assert await client.get("k") == b"x"
            async with Client.of(f"elsewhere:{server.port}", environment=here) as client:
                assert list((await client.version()).values()) == [None]

    asyncio.run(scenario())
