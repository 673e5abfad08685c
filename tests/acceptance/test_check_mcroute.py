"""`check_mcroute` sees a real server die and return: run by hand, and by a real Nagios."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcroute.monitoring.nagios.options import parse
from mcroute.monitoring.nagios.plugin import check
from mcroute.policy import Pool, PoolRoute
from mcroute.testing import EmbeddedServer, MemcachedServer, find_memcached, free_port

from .clients import Client
from .drivers import NATIVE, Run, start_proxy
from .nagios import NAGIOS, nagios
from .service import Service, service

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]

OK, WARNING, CRITICAL, UNKNOWN = range(4)
KEYS = [f"k{i}" for i in range(100)]
REFUSED = "it cannot be connected to: Connection refused"


def config(port: int, *servers: MemcachedServer, copies: int = 2) -> str:
    named = ", ".join(f'{{ name = "cache-{i}", address = "{s.address}" }}' for i, s in enumerate(servers, 1))
    lines = [
        f'proxy.listen = "127.0.0.1:{port}"',
        "proxy.refill_keys_per_s = 1000",
        "health.retry_base_s = 0.2",
        "health.retry_cap_s = 0.4",
        f"[pools.main]\nservers = [{named}]\ncopies = {copies}\nreply_timeout_s = 20\ndeadline_s = 20\n",
    ]
    return "\n".join(lines)


async def ran(*arguments: object) -> tuple[int, str]:
    """The plugin's state and text, in this process: Nagios starts it as a process."""

    def run() -> tuple[int, str]:
        found = check(parse([*map(str, arguments)]))
        found()
        return found.exitcode, found.summary_str

    return await asyncio.to_thread(run)


async def until(status: int, *arguments: object) -> str:
    while (seen := await ran(*arguments))[0] != status:
        await asyncio.sleep(0.05)
    return seen[1]


@contextlib.asynccontextmanager
async def three(loop: str, home: Path) -> AsyncIterator[tuple[Service, list[MemcachedServer]]]:
    port = free_port()
    with MemcachedServer() as a, MemcachedServer() as b, MemcachedServer() as c:
        async with service(loop, home / "mcroute.toml", config(port, a, b, c), port) as proxy:
            yield proxy, [a, b, c]


async def write(port: int) -> None:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    for key in KEYS:
        assert await client.ask(f"set {key} 0 0 1\r\nx\r\n".encode()) == b"STORED\r\n"
        assert await client.get(key) == b"x"
    await client.close()


@pytest.mark.parametrize("loop", ["asyncio", NATIVE])
def test_every_mode_through_a_kill_and_a_return(loop: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with three(loop, tmp_path) as (proxy, servers):
            at = ("-p", proxy.port, "-m")
            await write(proxy.port)
            assert await ran(*at, "servers") == (OK, "3 of 3 servers in service")
            assert (await ran(*at, "server", "--server", "cache-2"))[0] == OK
            assert await ran(*at, "pool") == (OK, "servers in service: main 3 of 3")
            hits = "hit ratio 100 % of 100 reads since the start"
            assert await ran(*at, "hits", "-w", "99:", "--min-reads", 1) == (OK, hits)
            behind = ("replication", "-w", 0, "-c", 100_000)
            assert await ran(*at, *behind) == (OK, "no server lacks a write")

            servers[1].kill()
            line = await until(CRITICAL, *at, "server", "--server", "cache-2")
            assert line.startswith("server cache-2 is ") and line.endswith(f"s: {REFUSED}")
            await write(proxy.port)
            assert (await ran(*at, "servers"))[1].startswith("2 of 3 servers in service; ")
            assert await ran(*at, "pool") == (WARNING, "servers in service: main 2 of 3")
            assert (await ran(*at, *behind))[1].startswith("cache-2 has missed writes of ")
            assert (await ran(*at, "hits", "--min-reads", 1))[0] == OK

            servers[1].start()
            assert (await until(OK, *at, "server", "--server", "cache-2")).endswith("s")
            await until(OK, *at, *behind)
            assert await ran(*at, "servers") == (OK, "3 of 3 servers in service")

    asyncio.run(asyncio.wait_for(scenario(), 50))


def test_a_proxy_that_runs_another_file_is_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        ports = [free_port(), free_port()]
        with MemcachedServer() as a, MemcachedServer() as b:
            async with contextlib.AsyncExitStack() as stack:
                for i, port in enumerate(ports):
                    file = tmp_path / f"{i}.toml"
                    proxy = await stack.enter_async_context(
                        service("asyncio", file, config(port, a, b), port)
                    )
                compared = ("-p", ports[0], "-m", "configuration", "--peer", f"127.0.0.1:{ports[1]}")
                same = "proxies with the same configuration: 2"
                assert await ran(*compared) == (OK, same)
                await proxy.reload(config(ports[1], a, b, copies=1))
                status, line = await ran(*compared)
                assert (status, line[:20]) == (CRITICAL, "2 configurations: 12")
                await proxy.reload(config(ports[1], a, b))
                assert await ran(*compared) == (OK, same)

    asyncio.run(asyncio.wait_for(scenario(), 50))


def test_a_proxy_on_a_unix_socket(run: Run, driver: str, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def scenario() -> None:
        with EmbeddedServer() as server:
            proxy = await start_proxy(driver, PoolRoute(Pool.of("main", [server.address])), path=path)
            try:
                for host in (path, f"unix:{path}"):
                    assert (await ran("-H", host))[1].startswith("server 127.0.0.1:")
            finally:
                await proxy.close()
            assert (await ran("-H", path))[0] == CRITICAL

    run(scenario())


@pytest.mark.skipif(NAGIOS is None, reason="no Nagios: Debian's nagios4-core")
@pytest.mark.parametrize("loop", [NATIVE])
def test_a_real_nagios_sees_the_kill_and_the_return(loop: str, tmp_path: Path) -> None:
    """By the services of examples/nagios.cfg."""

    async def scenario() -> None:
        async with three(loop, tmp_path) as (proxy, servers):
            await write(proxy.port)
            with nagios(tmp_path / "nagios", proxy.port, peer=proxy.port) as scheduler:

                async def are(**states: str) -> None:
                    for name in ("servers", "pools", "hits", "replication", "configuration"):
                        await asyncio.to_thread(scheduler.until, name, states.get(name, "OK"))

                await are()
                assert "hits=100c" in scheduler.services()["hits"].perfdata
                servers[1].kill()
                await asyncio.to_thread(scheduler.until, "cache-2", "CRITICAL")
                await are(servers="WARNING", pools="WARNING")
                seen = scheduler.services()
                assert seen["cache-2"].text.endswith(f"s: {REFUSED}")
                assert "main=66.7%;100:;50:;0;100" in seen["pools"].perfdata
                assert "out=1;0;2;0;3" in seen["servers"].perfdata
                servers[1].start()
                await are()
                await asyncio.to_thread(scheduler.until, "cache-2", "OK")
                assert [state for state, _ in scheduler.alerts("cache-2")] == ["CRITICAL", "OK"]
                assert [state for state, _ in scheduler.alerts("servers")] == ["WARNING", "OK"]
                assert scheduler.alerts("hits") == []

    asyncio.run(asyncio.wait_for(scenario(), 55))
