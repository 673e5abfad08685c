"""A server is taken down in the file, and put back: nothing old is read, and nothing else is lost."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from mcroute.testing import MemcachedServer, find_memcached, free_port

from .clients import Client
from .drivers import NATIVE
from .service import Service, service
from .test_renames import KEYS, config, write

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]


def with_down(text: str, server: MemcachedServer) -> str:
    return text.replace(f"'{server.address}' }}", f"'{server.address}', down = true }}")


async def wait_for_states(client: Client, wanted: dict[str, str]) -> None:
    while True:
        rows = await client.stats("servers")
        if {name: rows[f"{name}:state"] for name in wanted} == wanted:
            return
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("loop", ["asyncio", NATIVE])
@pytest.mark.parametrize("begins_down", [False, True])
def test_a_server_is_down_for_as_long_as_the_file_says_so(
    loop: str, begins_down: bool, tmp_path: Path
) -> None:
    port = free_port()

    async def scenario(down: MemcachedServer, other: MemcachedServer, proxy: Service, text: str) -> None:
        client = await Client.to(proxy)
        direct = Client(*await asyncio.open_connection(down.host, down.port))
        if not begins_down:
            await write(client, "old")
            assert await client.ask(b"set calm 0 0 4\r\ncalm\r\n") == b"STORED\r\n"
            await proxy.reload(with_down(text, down))
        await wait_for_states(client, {"a": "down", "b": "up"})
        asked = {row: n for row, n in (await direct.stats()).items() if row in ("cmd_get", "cmd_set")}
        await write(client, "new")
        for key in KEYS:
            assert await client.get(key) == b"new"
        rows = await direct.stats()
        assert {row: rows[row] for row in asked} == asked
        await proxy.reload(text)
        await wait_for_states(client, {"a": "up", "b": "up"})
        for key in KEYS:
            assert await client.get(key) == b"new"
            assert await direct.get(key) in (None, b"new")
        if not begins_down:
            assert await direct.get("calm") == b"calm"
        await direct.close()
        await client.close()

    async def served() -> None:
        with MemcachedServer() as down, MemcachedServer() as other:
            text = config(port, a=down.address, b=other.address)
            first = with_down(text, down) if begins_down else text
            async with service(loop, tmp_path / "mcroute.toml", first, port) as proxy:
                await asyncio.wait_for(scenario(down, other, proxy, text), 40)

    asyncio.run(served())
