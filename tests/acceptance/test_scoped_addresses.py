"""IPv6 addresses that mean something on one interface only."""

from __future__ import annotations

import asyncio
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from mcroute.policy import Pool, PoolRoute, Server, compile_plan
from mcroute.testing import free_port

from .clients import Client
from .drivers import HAS_NATIVE, Run, start_proxy


def scoped() -> str | None:
    """An address of this machine that begins with fe80 and needs a scope."""
    try:
        rows = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return None
    for address, _, _, _, flags, interface in map(str.split, rows):
        # Not those that are still being tried out.
        if address.startswith("fe80") and not int(flags, 16) & 0x40:
            return f"{IPv6Address(bytes.fromhex(address))}%{interface}"
    return None


HOST = scoped()
pytestmark = pytest.mark.skipif(HOST is None, reason="no interface has an address of its own")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(b"VERSION 1.6\r\n" if line == b"version\r\n" else b"END\r\n")
    writer.close()


def test_a_server_with_a_scope(run: Run, driver: str) -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(answer, HOST, 0)
        address = f"[{HOST}]:{server.sockets[0].getsockname()[1]}"
        proxy = await start_proxy(driver, PoolRoute(Pool.of("main", [address])))
        client = await Client.to(proxy)
        assert await client.ask(b"get k\r\n") == b"END\r\n"
        await client.close()
        await proxy.close()
        server.close()

    run(scenario())


def test_a_server_on_an_interface_that_is_not_there_is_one_that_is_away(run: Run, driver: str) -> None:
    async def scenario() -> None:
        away = Server.parse(f"[fe80::1%nowhere]:{free_port()}")
        proxy = await start_proxy(driver, PoolRoute(Pool("main", (away,))))
        client = await Client.to(proxy)
        assert (await client.ask(b"get k\r\n")).startswith(b"SERVER_ERROR ")
        await client.close()
        await proxy.close()

    run(scenario())


@pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")
@pytest.mark.parametrize("threads", [1, 2])
def test_listening_on_an_address_with_a_scope(threads: int) -> None:
    from mcroute.proxy.native_service import NativeService  # noqa: PLC0415

    async def scenario() -> None:
        away = Server.parse(f"127.0.0.1:{free_port()}")
        async with NativeService(compile_plan(PoolRoute(Pool("main", (away,)))), threads=threads) as proxy:
            await proxy.start(str(HOST))
            client = Client(*await asyncio.open_connection(HOST, proxy.port))
            assert (await client.ask(b"version\r\n")).startswith(b"VERSION ")
            await client.close()

    asyncio.run(scenario())
