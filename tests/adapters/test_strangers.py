"""Something that is no memcached listens where a server should: named, and not asked without a pause."""

from __future__ import annotations

import asyncio

import pytest

from mcroute.policy import Pool, PoolRoute
from tests.acceptance.carriers import CARRIERS, runner, start_proxy


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_stranger_is_told_of_and_left_in_peace(carrier: str, caplog: pytest.LogCaptureFixture) -> None:
    visits = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        await reader.readline()
        writer.write(b"220 mail.example ready\r\n")
        await reader.read()
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as stranger:
            port = stranger.sockets[0].getsockname()[1]
            proxy = await start_proxy(carrier, PoolRoute(Pool.of("main", [f"127.0.0.1:{port}"])), threads=1)
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"get k\r\n")
            assert (await reader.readline()).startswith(b"SERVER_ERROR ")
            await asyncio.sleep(0.5)
            writer.close()
            await proxy.close(0.1)

    runner(carrier)(scenario())
    assert "is no memcached: it answers b'220 mail.example ready' to version" in caplog.text
    # Pauses grow from 25 ms on; without them it is hundreds.
    assert visits < 20
