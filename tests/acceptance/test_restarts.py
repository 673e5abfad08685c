"""A proxy that is started again does not read what a server holds that missed writes before or meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from mcroute.testing import MemcachedServer, find_memcached, free_port

from .clients import Client
from .drivers import NATIVE
from .service import service
from .test_renames import KEYS, config, write

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]

LOOPS = pytest.mark.parametrize("loop", ["asyncio", NATIVE])


async def end(process: asyncio.subprocess.Process, number: int) -> None:
    process.send_signal(number)
    await process.wait()


async def wait_until_up(client: Client) -> None:
    while True:
        states = [v for k, v in (await client.stats("servers")).items() if k.endswith(":state")]
        if set(states) == {"up"}:
            return
        await asyncio.sleep(0.02)


async def read_nothing_old(client: Client) -> None:
    """On a slow machine the other server may have timed out too: then there are errors or misses."""
    for key in KEYS:
        line = await client.ask(f"get {key}\r\n".encode())
        if line.startswith(b"VALUE "):
            assert await client.reader.readuntil(b"END\r\n") == b"new\r\nEND\r\n"


@LOOPS
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_missed_writes_of_a_server_outlive_the_proxy(loop: str, number: int, tmp_path: Path) -> None:
    port = free_port()

    async def scenario() -> None:
        with MemcachedServer() as away, MemcachedServer() as other:
            text = config(port, a=away.address, b=other.address)
            file = tmp_path / "mcroute.toml"
            async with service(loop, file, text, port) as proxy:
                client = await Client.to(proxy)
                await write(client, "old")
                away.pause()
                try:
                    await write(client, "new")
                    # The file of text may not say so yet.
                    await end(proxy.process, number)
                finally:
                    away.resume()
                client.reset()
            async with service(loop, file, text, port) as proxy:
                client = await Client.to(proxy)
                for _ in range(3):
                    await read_nothing_old(client)
                await wait_until_up(client)
                await read_nothing_old(client)
                await client.close()

    asyncio.run(asyncio.wait_for(scenario(), 50))


async def is_flushed(server: MemcachedServer) -> bool:
    """From 1.6.25 on, a flush is several flush_all."""
    direct = Client(*await asyncio.open_connection(server.host, server.port))
    try:
        return (await direct.stats())["cmd_flush"] != "0"
    finally:
        await direct.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a journal file needs Linux")
@LOOPS
@pytest.mark.parametrize("damage", ["", "removed", "cut", "full"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_with_a_journal_file_a_server_loses_only_what_it_missed(
    loop: str, number: int, damage: str, tmp_path: Path
) -> None:
    """The file outlives the proxy, or the server is flushed."""
    port, journal = free_port(), tmp_path / "journal"

    async def scenario() -> None:
        with MemcachedServer() as away, MemcachedServer() as other:
            text = config(port, a=away.address, b=other.address)
            more = f'[proxy]\njournal_file = "{journal}"'
            if damage == "full":
                more += "\njournal_size_max = 4096"
            text = text.replace("[proxy]", more)
            file = tmp_path / "mcroute.toml"
            async with service(loop, file, text, port) as proxy:
                client = await Client.to(proxy)
                await write(client, "old")
                assert await client.ask(b"set calm 0 0 4\r\ncalm\r\n") == b"STORED\r\n"
                away.pause()
                try:
                    await write(client, "new")
                    for i in range(500 if damage == "full" else 0):
                        assert await client.ask(f"set more-{i} 0 0 1\r\nx\r\n".encode()) == b"STORED\r\n"
                    await end(proxy.process, number)
                finally:
                    away.resume()
                client.reset()
            if damage == "removed":
                journal.unlink()
            elif damage == "cut":
                os.truncate(journal, journal.stat().st_size - 1)
            async with service(loop, file, text, port) as proxy:
                client = await Client.to(proxy)
                await read_nothing_old(client)
                await wait_until_up(client)
                await read_nothing_old(client)
                assert await client.get("calm") == b"calm"
                direct = Client(*await asyncio.open_connection(away.host, away.port))
                if not damage:
                    assert await direct.get("calm") == b"calm"
                for key in KEYS:
                    assert await direct.get(key) in (None, b"new")
                await direct.close()
                assert await is_flushed(away) == bool(damage)
                assert not await is_flushed(other)
                await client.close()

    asyncio.run(asyncio.wait_for(scenario(), 50))


@LOOPS
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_servers_that_were_in_order_keep_their_values(loop: str, number: int, tmp_path: Path) -> None:
    port = free_port()

    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as other:
            text = config(port, a=one.address, b=other.address).replace("reply_timeout_s = 0.2", "")
            file = tmp_path / "mcroute.toml"
            async with service(loop, file, text, port) as proxy:
                client = await Client.to(proxy)
                await write(client, "now")
                # Long enough to write the present connections to the state file.
                await asyncio.sleep(0.2)
                await end(proxy.process, number)
                client.reset()
            async with service(loop, file, text, port) as proxy:
                client = await Client.to(proxy)
                await wait_until_up(client)
                for key in KEYS:
                    assert await client.get(key) == b"now"
                for server in (one, other):
                    assert not await is_flushed(server)
                await client.close()

    asyncio.run(asyncio.wait_for(scenario(), 50))
