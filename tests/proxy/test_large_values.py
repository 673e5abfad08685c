"""Values above 1 MiB of real servers that store them, on both loops, without a word of configuration."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

from mcroute.asyncio import Client, IllegalInput, ServerRefused
from mcroute.policy import Limits, Pool, PoolRoute, compile_plan
from mcroute.proxy.on_asyncio import Proxy
from mcroute.testing import EmbeddedServer, MemcachedServer

HAS_LOOP = importlib.util.find_spec("mcroute._loop.threads") is not None
SIZE = 3 << 20


def make(loop: str) -> Callable[..., Any]:
    if loop == "asyncio":
        return Proxy
    from mcroute.proxy.native_service import NativeService  # noqa: PLC0415

    return lambda plan, **options: NativeService(plan, threads=1, **options)


LOOPS = pytest.mark.parametrize(
    "loop", ["asyncio", pytest.param("native", marks=pytest.mark.skipif(not HAS_LOOP, reason="no epoll"))]
)


async def ask(port: int, request: bytes, until: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2 * SIZE)
    writer.write(request)
    reply = await asyncio.wait_for(reader.readuntil(until), 20)
    writer.transport.abort()
    return reply


@LOOPS
def test_large_values_are_stored_and_returned(loop: str) -> None:
    async def scenario(server: MemcachedServer) -> None:
        async with make(loop)(compile_plan(PoolRoute(Pool.of("main", [server.address])))) as proxy:
            await proxy.start()
            value = b"x" * SIZE
            stored = await ask(proxy.port, b"set k 0 0 %d\r\n%s\r\n" % (SIZE, value), b"\r\n")
            assert stored == b"STORED\r\n"
            got = await ask(proxy.port, b"get k\r\n", b"END\r\n")
            assert got == b"VALUE k 0 %d\r\n%s\r\nEND\r\n" % (SIZE, value)

    with MemcachedServer("-I", "8m") as server:
        asyncio.run(asyncio.wait_for(scenario(server), 50))


@LOOPS
def test_or_are_refused_alone_if_they_are_to_be(loop: str) -> None:
    async def scenario(server: MemcachedServer) -> None:
        await ask(server.port, b"set k 0 0 %d\r\n%s\r\n" % (SIZE, b"x" * SIZE), b"\r\n")
        pool = Pool("main", Pool.of("main", [server.address]).servers, value_max=1 << 20)
        limits = Limits(value_max=2 << 20)
        async with make(loop)(compile_plan(PoolRoute(pool)), limits=limits) as proxy:
            await proxy.start()
            got = await ask(proxy.port, b"get k\r\n", b"\r\n")
            assert got == b"SERVER_ERROR value is larger than value_max\r\n"
            refused = await ask(proxy.port, b"set a 0 0 %d\r\n" % SIZE, b"\r\n")
            assert refused == b"SERVER_ERROR object too large for cache\r\n"
            assert proxy.observe().snapshot.servers[server.address].counters["desyncs"] == 0

    with MemcachedServer("-I", "8m") as server:
        asyncio.run(asyncio.wait_for(scenario(server), 50))


@pytest.mark.parametrize("connects", [True, False])
def test_a_client_stores_values_that_its_servers_store(connects: bool) -> None:
    async def scenario(server: MemcachedServer) -> None:
        value = b"x" * SIZE
        client = Client.of(server.address, reply_timeout_s=20, deadline_s=20)
        if connects:
            await client.connect()
        assert await client.set("k", value) is True
        assert await client.get("k") == value
        assert await client.set_many({"a": value, "b": "small"}) == []
        await client.set("c", value, noreply=True)
        await client.set_many({"d": value}, noreply=True)
        assert [len(found) for found in (await client.get_many("abcd"[i] for i in range(4))).values()] == [
            SIZE, 5, SIZE, SIZE,
        ]  # fmt: skip
        await client.close()

    with MemcachedServer("-I", "8m") as server:
        asyncio.run(asyncio.wait_for(scenario(server), 50))


def test_a_client_is_refused_a_value_that_no_server_stores(embedded_server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with Client.of(embedded_server.address) as client:
            for noreply in (False, True):
                with pytest.raises(ServerRefused, match="set 'k': object too large for cache") as refused:
                    await client.set("k", bytes(SIZE), noreply=noreply)
                assert refused.value.keys == ("k",)
                with pytest.raises(ServerRefused, match="set 'k': object too large for cache") as refused:
                    await client.set_many({"a": 1, "k": bytes(SIZE), "b": 2}, noreply=noreply)
                assert refused.value.keys == ("k",)
            assert await client.get_many(["a", "k", "b"]) == {"a": b"1", "b": b"2"}
        async with Client.of(embedded_server.address, limits=Limits(value_max=5)) as client:
            with pytest.raises(IllegalInput, match="value: 6 bytes are more than 5"):
                await client.set("k", b"123456")

    asyncio.run(scenario())
