"""`mcroute proxy` reloads its file under load: no client sees an error, whatever the file says."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("rich")

from mcroute.cli.demo.load import Load
from mcroute.cli.demo.tally import Phase, Tally
from mcroute.testing import MemcachedServer, find_memcached, free_port

from .drivers import NATIVE
from .service import service

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]

BROKEN = ["", "[pools", "[pools.main]\nservers = []", "[pools.main]\nservers = ['a:b']", "[nonsense]"]


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer()) for _ in range(5)]


class Traffic:
    """Clients of a port, and what they have seen."""

    def __init__(self, port: int) -> None:
        self.tally = Tally()
        self.over = asyncio.Event()
        self.load = Load(port, clients=8, keys=300, rate=800, rng=Random(1), tally=self.tally, over=self.over)

    async def some(self, count: int = 300) -> None:
        """Returns after so many more requests."""
        until = self.tally.counts.requests + count
        while self.tally.counts.requests < until:
            await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Traffic]:
        await self.load.fill()
        self.tally.phase = Phase.BEFORE
        task = asyncio.create_task(self.load.run())
        try:
            yield self
        finally:
            self.over.set()
            await task


def config(port: int, members: dict[str, str], copies: int = 2) -> str:
    """`members` are addresses, with weights if wanted, by the servers' names."""
    listed = ", ".join(f"{{ name = '{name}', address = '{address}' }}" for name, address in members.items())
    return f"""
        [proxy]
        listen = "127.0.0.1:{port}"
        [pools.main]
        servers = [{listed}]
        [health]
        retry_base_s = 0.2
        retry_cap_s = 0.2
        [route]
        type = "replicate"
        pool = "main"
        copies = {copies}
    """


@pytest.fixture(params=["asyncio", NATIVE])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def named(servers: list[MemcachedServer]) -> dict[str, str]:
    return {f"cache-{number}": server.address for number, server in enumerate(servers)}


def test_no_reload_makes_a_client_see_an_error(
    loop: str, servers: list[MemcachedServer], tmp_path: Path
) -> None:
    all_five = named(servers)
    four = {name: all_five[name] for name in list(all_five)[:4]}
    weighted = {name: f"{address}:{weight}" for weight, (name, address) in enumerate(four.items(), 1)}
    moved = {**four, "cache-3": all_five["cache-4"]}
    port = free_port()

    async def scenario() -> None:
        async with (
            service(loop, tmp_path / "mcroute.toml", config(port, four), port) as proxy,
            Traffic(port).running() as traffic,
        ):
            await traffic.some()
            for members in (all_five, four, weighted, four, moved, all_five, four, moved, four):
                assert " servers " in await proxy.reload(config(port, members))
                await traffic.some()
            for text in BROKEN:
                line = await proxy.reload(text, " ERROR ")
                assert "reload failed, still using the previous configuration: " in line
                assert str(proxy.file) in line
                await traffic.some(50)
            await proxy.reload(config(port, all_five, copies=3))
            await traffic.some()
        # Not stale: when keys move to and fro, old values stay on their servers (docs/operations.md).
        total = traffic.tally.total()
        assert (total.errors, total.wrong, traffic.tally.examples if total.errors else []) == (0, 0, [])

    asyncio.run(scenario())


def test_a_server_that_died_may_be_taken_out_and_put_back(
    loop: str, servers: list[MemcachedServer], tmp_path: Path
) -> None:
    everybody = named(servers)
    others = {name: address for name, address in everybody.items() if name != "cache-1"}
    port = free_port()

    async def scenario() -> None:
        async with (
            service(loop, tmp_path / "mcroute.toml", config(port, everybody), port) as proxy,
            Traffic(port).running() as traffic,
        ):
            await traffic.some()
            servers[1].kill()
            await traffic.some()
            await proxy.reload(config(port, others))
            await traffic.some()
            # The server is still down: it cannot be flushed, and begins out of service.
            await proxy.reload(config(port, everybody))
            await traffic.some()
            servers[1].start()
            while "server cache-1 serves again" not in await proxy.line():
                pass
            await traffic.some()
        assert (traffic.tally.total().errors, traffic.tally.total().stale, traffic.tally.total().wrong) == (
            0,
            0,
            0,
        )

    asyncio.run(scenario())


def test_a_server_that_is_taken_out_and_put_back_gives_no_old_value(
    loop: str, servers: list[MemcachedServer], tmp_path: Path
) -> None:
    everybody = named(servers)
    others = {name: address for name, address in everybody.items() if name != "cache-1"}
    port = free_port()

    async def scenario() -> None:
        async with (
            service(loop, tmp_path / "mcroute.toml", config(port, everybody), port) as proxy,
            Traffic(port).running() as traffic,
        ):
            for _ in range(3):
                await proxy.reload(config(port, others))
                await traffic.some(600)
                await proxy.reload(config(port, everybody))
                await traffic.some(600)
        total = traffic.tally.total()
        assert (total.errors, total.stale, total.wrong, traffic.tally.examples) == (0, 0, 0, [])

    asyncio.run(scenario())
