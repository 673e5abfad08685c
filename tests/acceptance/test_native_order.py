"""Writers of one key on different threads: its copies agree afterwards."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from mcroute.policy import Pool, Replicate, Server, compile_plan
from mcroute.testing import MemcachedServer, find_memcached

from .clients import Client
from .drivers import HAS_NATIVE, runner

if HAS_NATIVE:
    from mcroute.proxy.native_service import NativeService

CLIENTS, KEYS, ROUNDS = 16, 8, 60

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(not HAS_NATIVE, reason="no epoll"),
]


@pytest.mark.parametrize("write", ["all", "first"])
def test_copies_agree_after_writes_of_several_threads(write: str) -> None:
    runner("native")(_write_and_compare(write))


async def _write_and_compare(write: str) -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(MemcachedServer()) for _ in range(2)]
        pool = Pool("main", tuple(Server(f"s{i}", s.host, s.port) for i, s in enumerate(servers)))
        route = Replicate(pool, copies=2, write=write)
        async with NativeService(compile_plan(route), threads=3) as proxy:
            await proxy.start()
            writers = [await Client.to(proxy) for _ in range(CLIENTS)]
            readers = [Client(*await asyncio.open_connection(s.host, s.port)) for s in servers]
            for number in range(ROUNDS):
                keys = [f"k{number}.{i}" for i in range(KEYS)]
                await asyncio.gather(*(_write(writer, i, keys) for i, writer in enumerate(writers)))
                # A write that one copy has answered may stand on the link of the other one.
                while any(links.unanswered for links in proxy.supervision.links.values()):
                    await asyncio.sleep(0.001)
                for key in keys:
                    first, second = [await reader.get(key) for reader in readers]
                    assert first is not None
                    assert first == second, key
            for client in (*writers, *readers):
                client.writer.close()
                await client.writer.wait_closed()


async def _write(client: Client, number: int, keys: list[str]) -> None:
    """All of its keys at once, each twice."""
    lines = [f"set {key} 0 0 2\r\n{turn}{number:x}\r\n".encode() for turn in range(2) for key in keys]
    client.writer.write(b"".join(lines))
    for _ in lines:
        assert await client.reader.readuntil(b"\r\n") == b"STORED\r\n"
