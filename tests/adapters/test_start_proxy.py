"""The proxy from a configuration, as an embedder starts it."""

import asyncio

from mcroute.asyncio import start_proxy
from mcroute.config import parse_config
from mcroute.testing import EmbeddedServer, free_port


def test_a_configuration_says_where_to_listen_and_whom_to_ask() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        port = free_port()
        listen, pool = f'listen = "127.0.0.1:{port}"', f'servers = ["{server.address}"]'
        config = parse_config(f"[proxy]\n{listen}\n[pools.main]\n{pool}\n")
        async with await start_proxy(config) as proxy:
            assert proxy.port == port
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"set a 0 0 1\r\nx\r\nquit\r\n")
            assert await reader.read() == b"STORED\r\n"
            writer.close()

    with EmbeddedServer() as server:
        asyncio.run(asyncio.wait_for(scenario(server), 50))
