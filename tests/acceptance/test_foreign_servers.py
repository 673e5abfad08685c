"""Somebody else's memcached at a server's address: it is left alone, and the other copy serves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from mcroute.policy import (
    Condition,
    HealthSettings,
    Pool,
    PoolRoute,
    Replicate,
    State,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.processes import SLACK_S
from mcroute.testing import MemcachedServer, Relay, find_memcached

from .drivers import AnyProxy, Run, start_proxy

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

# Behind a relay the server's list does not show our connections.
SETTINGS = SupervisorSettings(
    HealthSettings(retry_base_s=0.1, retry_cap_s=0.2), refence_s=0.05, fence_blind_s=0.2
)
LINE = "is another memcached than before: pid"


def ask(server: MemcachedServer, request: bytes, end: bytes = b"END\r\n") -> bytes:
    with socket.create_connection((server.host, server.port), timeout=5) as link:
        link.sendall(request)
        answer = b""
        while not answer.endswith(end):
            answer += link.recv(65536)
        return answer


def stat(server: MemcachedServer, name: bytes) -> int:
    rows = dict(row.split(b" ")[1:3] for row in ask(server, b"stats\r\n").splitlines()[:-1])
    return int(rows[name])


def touches(server: MemcachedServer) -> list[int]:
    return [stat(server, name) for name in (b"cmd_set", b"cmd_get", b"cmd_flush", b"total_items")]


@pytest.fixture(scope="module")
def running() -> Iterator[MemcachedServer]:
    """It has run for so long that it is nobody's restart."""
    with MemcachedServer() as server:
        yield server


@pytest.fixture
def foreign(running: MemcachedServer) -> MemcachedServer:
    ask(running, b"set theirs 0 0 4\r\nkept\r\n", b"STORED\r\n")
    return running


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer()) for _ in range(2)]


async def until_old(server: MemcachedServer) -> None:
    while await asyncio.to_thread(stat, server, b"uptime") <= 2 * SLACK_S:
        await asyncio.sleep(0.1)


async def requests(port: int, count: int) -> None:
    """Writes and reads that all succeed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for i in range(count):
        writer.write(b"set k%d 0 0 3\r\nabc\r\nget k%d\r\n" % (i, i))
        assert await reader.readline() == b"STORED\r\n"
        assert await reader.readline() == b"VALUE k%d 0 3\r\n" % i
        assert await reader.readline() == b"abc\r\n"
        assert await reader.readline() == b"END\r\n"
    writer.close()


async def known(proxy: AnyProxy, server: MemcachedServer) -> None:
    while (process := proxy.supervision.supervisor.process(0)) is None or process.pid != server.pid:
        await asyncio.sleep(0.01)


async def shown(proxy: AnyProxy, condition: Condition) -> None:
    loop = asyncio.get_running_loop()
    while proxy.supervision.supervisor.condition(0, loop.time()) is not condition:
        await asyncio.sleep(0.01)


async def take_out(proxy: AnyProxy, server: MemcachedServer, port: int) -> None:
    """The server is gone, and misses writes."""
    server.kill()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while proxy.supervision.supervisor.state(0) is State.UP:
        writer.write(b"set k 0 0 1\r\nx\r\n")
        await reader.readline()
    writer.close()
    await requests(port, 20)


@pytest.mark.parametrize("identity", ["same", "any"])
def test_a_foreign_process_after_an_absence(
    run: Run,
    driver: str,
    servers: list[MemcachedServer],
    foreign: MemcachedServer,
    identity: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        await until_old(foreign)
        with Relay((servers[0].host, servers[0].port)) as relay:
            addresses = Pool.of("main", [relay.address, servers[1].address]).servers
            pool = Pool("main", addresses, identity=identity)
            proxy = await start_proxy(driver, Replicate(pool, copies=2), settings=SETTINGS)
            await requests(proxy.port, 20)
            await known(proxy, servers[0])
            await take_out(proxy, servers[0], proxy.port)
            before = touches(foreign)
            relay.target = foreign.host, foreign.port
            if identity == "any":
                while proxy.supervision.supervisor.state(0) is not State.UP:
                    await asyncio.sleep(0.01)
                assert touches(foreign)[2] > before[2]
                assert LINE not in caplog.text
            else:
                await shown(proxy, Condition.FOREIGN)
                await requests(proxy.port, 200)
                assert touches(foreign) == before
                assert b"kept" in ask(foreign, b"get theirs\r\n")
                assert caplog.text.count(LINE) == 1
                # The restarted process is the known one's.
                await asyncio.to_thread(servers[0].start)
                relay.target = servers[0].host, servers[0].port
                relay.cut()
                await shown(proxy, Condition.UP)
            await requests(proxy.port, 20)
            await proxy.close()

    run(scenario())


@pytest.mark.parametrize("count", [1, 2])
def test_a_foreign_process_behind_connections_that_break_while_idle(
    run: Run, driver: str, servers: list[MemcachedServer], foreign: MemcachedServer, count: int
) -> None:
    async def scenario() -> None:
        await until_old(foreign)
        with Relay((servers[0].host, servers[0].port)) as relay:
            addresses = [relay.address, servers[1].address][:count]
            proxy = await start_proxy(
                driver, Replicate(Pool.of("main", addresses), copies=count), settings=SETTINGS
            )
            await known(proxy, servers[0])
            before = touches(foreign)
            relay.target = foreign.host, foreign.port
            relay.cut()
            await shown(proxy, Condition.FOREIGN)
            if count == 2:
                await requests(proxy.port, 20)
            assert touches(foreign) == before
            # The known process, which ran all the time, gets its address back.
            relay.target = servers[0].host, servers[0].port
            relay.cut()
            await shown(proxy, Condition.UP)
            await requests(proxy.port, 20)
            await proxy.close()

    run(scenario())


def test_a_foreign_process_where_a_server_comes_back_by_a_reload(
    run: Run,
    driver: str,
    servers: list[MemcachedServer],
    foreign: MemcachedServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        await until_old(foreign)
        with Relay((servers[0].host, servers[0].port)) as relay:
            both = Replicate(Pool.of("main", [relay.address, servers[1].address]), copies=2)
            proxy = await start_proxy(driver, both, settings=SETTINGS)
            await known(proxy, servers[0])
            await proxy.reload(compile_plan(PoolRoute(Pool.of("main", [servers[1].address]))))
            before = touches(foreign)
            relay.target = foreign.host, foreign.port
            await proxy.reload(compile_plan(both))
            while LINE not in caplog.text:
                await asyncio.sleep(0.01)
            await requests(proxy.port, 20)
            assert touches(foreign) == before
            assert b"kept" in ask(foreign, b"get theirs\r\n")
            await proxy.close()

    run(scenario())
