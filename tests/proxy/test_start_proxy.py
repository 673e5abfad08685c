"""The proxy from a configuration, as an embedder starts it."""

import asyncio
from pathlib import Path

import pytest

from mcroute.asyncio import start_proxy
from mcroute.config import parse_config
from mcroute.testing import EmbeddedServer, free_port


def test_a_configuration_gives_the_listening_address_and_the_servers() -> None:
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


def test_a_proxy_keeps_a_state_file_and_descriptors(tmp_path: Path) -> None:
    async def ask(port: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request + b"quit\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async def scenario(server: EmbeddedServer) -> None:
        pool = f'servers = ["{server.address}"]'
        path = tmp_path / "proxy.state"
        config = parse_config(
            f'[proxy]\nlisten = "127.0.0.1:{free_port()}"\nstate_file = "{path}"\n[pools.main]\n{pool}\n'
        )
        await ask(server.port, b"set k 0 0 1\r\nx\r\n")
        async with await start_proxy(config, first_use="flush", descriptors=100) as proxy:
            # The server was unknown: it is flushed first.
            while await ask(proxy.port, b"get k\r\n") != b"END\r\n":
                await asyncio.sleep(0.01)
            assert await ask(proxy.port, b"set k 0 0 1\r\ny\r\n") == b"STORED\r\n"
            assert b"STAT max_connections " in await ask(proxy.port, b"stats\r\n")
            with pytest.raises(OSError, match="another proxy uses it"):
                await start_proxy(config.plan, state_file=path)
        async with await start_proxy(config.plan, state_file=path, first_use="flush") as proxy:
            assert await ask(proxy.port, b"get k\r\n") == b"VALUE k 0 1\r\ny\r\nEND\r\n"

    with EmbeddedServer() as server:
        asyncio.run(asyncio.wait_for(scenario(server), 50))
