"""A server that is away gets another name or spelling by a reload: what it missed is known all the same."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from mcroute.testing import MemcachedServer, find_memcached, free_port

from .clients import Client
from .drivers import NATIVE
from .service import Service, service

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]

KEYS = [f"k{i}" for i in range(30)]


def config(port: int, **members: str) -> str:
    listed = ", ".join(f"{{ name = '{name}', address = '{address}' }}" for name, address in members.items())
    return f"""
        [proxy]
        listen = "127.0.0.1:{port}"
        [pools.main]
        servers = [{listed}]
        reply_timeout_s = 0.2
        deadline_s = 10
        [health]
        retry_base_s = 0.1
        retry_cap_s = 0.2
        [route]
        type = "replicate"
        pool = "main"
        copies = 2
    """


async def write(client: Client, value: str) -> None:
    for key in KEYS:
        assert await client.ask(f"set {key} 0 0 3\r\n{value}\r\n".encode()) == b"STORED\r\n"


@pytest.mark.parametrize("loop", ["asyncio", NATIVE])
@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"a2": "127.0.0.1:{a}", "b": "127.0.0.1:{b}"}, id="renamed"),
        pytest.param({"a": "localhost:{a}", "b": "127.0.0.1:{b}"}, id="spelled by name"),
        pytest.param({"a": "[::ffff:127.0.0.1]:{a}", "b": "127.0.0.1:0{b}"}, id="spelled otherwise"),
        pytest.param({"a": "127.0.0.1:{b}", "b": "127.0.0.1:{a}"}, id="swapped"),
    ],
)
def test_missed_writes_of_a_server_are_known_under_its_new_name(
    loop: str, later: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()

    async def scenario(away: MemcachedServer, other: MemcachedServer, proxy: Service) -> None:
        client = await Client.to(proxy)
        await write(client, "old")
        away.pause()
        try:
            await write(client, "new")
            ports = {"a": away.port, "b": other.port}
            members = {name: address.format(**ports) for name, address in later.items()}
            await proxy.reload(config(port, **members))
        finally:
            away.resume()
        while True:
            states = [v for k, v in (await client.stats("servers")).items() if k.endswith(":state")]
            for key in KEYS:
                assert await client.get(key) == b"new"
            if states == ["up", "up"]:
                break
            await asyncio.sleep(0.02)
        for key in KEYS:
            assert await client.get(key) == b"new"
        await client.close()

    async def served() -> None:
        with MemcachedServer() as away, MemcachedServer() as other:
            text = config(port, a=away.address, b=other.address)
            async with service(loop, tmp_path / "mcroute.toml", text, port) as proxy:
                await asyncio.wait_for(scenario(away, other, proxy), 40)

    asyncio.run(served())
