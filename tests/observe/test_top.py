"""The reply to `stats top` counts what clients and servers have seen."""

from __future__ import annotations

import asyncio

import pytest

from mcroute.asyncio import start_proxy
from mcroute.cli.top.figures import screen
from mcroute.cli.top.samples import Sample, parsed
from mcroute.policy import Condition, HealthSettings, Pool, Replicate, Server, SupervisorSettings
from mcroute.testing import EmbeddedServer


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, end: bytes
) -> bytes:
    writer.write(request)
    return await reader.readuntil(end)


def test_a_sample_has_the_clients_requests_and_each_servers() -> None:
    async def run() -> None:
        with EmbeddedServer() as one, EmbeddedServer() as two:
            servers = tuple(Server(f"cache-{i}", s.host, s.port) for i, s in enumerate((one, two)))
            settings = SupervisorSettings(HealthSettings(retry_base_s=3600, retry_cap_s=3600))
            route = Replicate(Pool("the pool", servers), 2)
            async with await start_proxy(route, settings=settings) as proxy:
                streams = await asyncio.open_connection("127.0.0.1", proxy.port)

                async def sample() -> Sample:
                    reply = await ask(*streams, b"stats top\r\n", b"END\r\n")
                    rows = (line.split(" ", 2) for line in reply.decode().splitlines()[:-1])
                    return parsed({name: value for _, name, value in rows}, "")

                before = await sample()
                assert before.commands == {}
                await ask(*streams, b"set k 0 0 1\r\nx\r\n", b"STORED\r\n")
                await ask(*streams, b"get k\r\nget j\r\n", b"END\r\nEND\r\n")
                now = await sample()
                assert now.proxy["clients"] == 1
                assert now.pools == ({"name": "the pool", "up": 2, "servers": 2, "is_panic": False},)
                assert {name: row["requests"] for name, row in now.commands.items()} == {"set": 1, "get": 2}
                get = now.commands["get"]
                assert (get["hits"], get["misses"], get["errors"]) == (1, 1, 0)
                assert sum(get["buckets"].values()) == 2
                # The set goes to both, the hit is asked of one, the miss of both.
                assert sum(row["requests"] for row in now.servers.values()) == 5
                assert sum(sum(row["buckets"].values()) for row in now.servers.values()) == 5
                seconds = now.proxy["uptime_s"] - before.proxy["uptime_s"]
                assert screen(before, now).clients.figures.per_s == pytest.approx(3 / seconds)

                two.kill()
                await ask(*streams, b"set k 0 0 1\r\ny\r\n", b"STORED\r\n")
                while (row := (await sample()).servers["cache-1"])["state"] == Condition.UP.value:
                    await asyncio.sleep(0.01)
                assert row["cause"] in ("unreachable", "missed_write")
                assert row["reason"]
                errors = row["errors"]
                await ask(*streams, b"set k 0 0 1\r\nz\r\n", b"STORED\r\n")
                later = (await sample()).servers
                # It is not asked any more. Its probes do not count as a new absence.
                assert later["cache-1"]["errors"] == errors
                assert later["cache-1"]["since_s"] >= row["since_s"]
                assert later["cache-0"]["since_s"] >= later["cache-1"]["since_s"]
                streams[1].close()
                await streams[1].wait_closed()

    asyncio.run(asyncio.wait_for(run(), 50))
