"""`stats items` and the like: what all servers say, in one reply that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from mcroute.policy import Pool, PoolRoute, Server
from mcroute.testing import MemcachedServer, find_memcached

from .drivers import AnyProxy, Run, start_proxy

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]


async def ask(proxy: AnyProxy, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(line + b"\r\n")
        return await asyncio.wait_for(reader.readuntil(b"END\r\n"), 20)
    finally:
        writer.close()


def rows(reply: bytes) -> dict[str, str]:
    lines = reply.decode().split("\r\n")
    assert lines[-2:] == ["END", ""]
    assert all(line.startswith("STAT ") for line in lines[:-2])
    return dict(line.split(" ", 2)[1:] for line in lines[:-2])


class Silent:
    """Greets, and answers nothing else."""

    def __init__(self) -> None:
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line == b"version\r\n":
                    writer.write(b"VERSION 1.6.18\r\n")
                self.asked += line == b"stats items\r\n"
        writer.close()


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[tuple[str, Silent]]:
    server = Silent()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}", server


def test_all_servers_rows_come_behind_their_names(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as other:
            members = (Server.parse(one.address, name="a"), Server.parse(other.address, name="b"))
            proxy = await start_proxy(driver, PoolRoute(Pool("main", members, deadline_s=20.0)))
            try:
                settings = rows(await ask(proxy, b"stats settings"))
                assert settings["a:item_size_max"] == settings["b:item_size_max"] == "1048576"
                assert settings["a:tcpport"] == one.address.rpartition(":")[2]
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                for i in range(20):
                    writer.write(b"set k%d 0 0 1\r\nx\r\n" % i)
                    assert await reader.readline() == b"STORED\r\n"
                writer.close()
                items = rows(await ask(proxy, b"stats items"))
                counts = [int(items[f"{name}:items:1:number"]) for name in "ab"]
                assert sum(counts) == 20 and 0 not in counts
                slabs = rows(await ask(proxy, b"stats slabs"))
                assert slabs["a:active_slabs"] and slabs["b:1:chunk_size"]
                assert set(rows(await ask(proxy, b"stats sizes"))) == {"a:sizes_status", "b:sizes_status"}
            finally:
                await proxy.close(0.1)

    run(scenario())


def test_a_server_that_does_not_answer_keeps_the_others_for_less_than_the_deadline(
    driver: str, run: Run
) -> None:
    async def scenario() -> None:
        async with silent() as (address, server):
            with MemcachedServer() as alive:
                members = (Server.parse(alive.address, name="a"), Server.parse(address, name="b"))
                proxy = await start_proxy(driver, PoolRoute(Pool("main", members, deadline_s=3.0)))
                try:
                    asked = [ask(proxy, b"stats items") for _ in range(20)]
                    replies = await asyncio.gather(*asked, ask(proxy, b"stats settings"))
                    assert {rows(reply)["b:error"] for reply in replies} == {"no answer in 2.4 s"}
                    assert rows(replies[-1])["a:maxconns"] == "1024"
                    # Concurrent calls share the answer.
                    assert server.asked < 20
                finally:
                    await proxy.close(0.1)

    run(scenario())


def test_stats_of_a_server_that_is_down_show_its_state(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as other:
            members = (Server.parse(one.address, name="a"), Server.parse(other.address, name="b"))
            proxy = await start_proxy(driver, PoolRoute(Pool("main", members)))
            try:
                other.kill()
                while "b:state" not in (found := rows(await ask(proxy, b"stats settings"))):
                    await asyncio.sleep(0.02)
                assert found["b:state"] in ("ejected", "probing")
                assert found["a:maxconns"] == "1024"
            finally:
                await proxy.close(0.1)

    run(scenario())
