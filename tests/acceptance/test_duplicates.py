"""One memcached under two names: what is done on one copy must not be undone on itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest

from mcroute.asyncio import Client
from mcroute.drivers.asyncio.addresses import Resolver
from mcroute.drivers.asyncio.control import AsyncioControl
from mcroute.drivers.asyncio.lookups import Lookups
from mcroute.policy import Condition, HealthSettings, Pool, Replicate, Server, State, SupervisorSettings
from mcroute.testing import EmbeddedServer, MemcachedServer, find_memcached

from .drivers import DRIVERS, AnyProxy, Run, runner, start_proxy

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=0.1, retry_cap_s=0.2))


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(driver: str) -> Run:
    return runner(driver)


@pytest.fixture
def server() -> Iterator[MemcachedServer]:
    with MemcachedServer() as server:
        yield server


def twice(server: MemcachedServer) -> Replicate:
    one = Server("one", server.host, server.port)
    return Replicate(
        Pool("main", (one, Server("two", "localhost", server.port)), reply_timeout_s=20, deadline_s=20)
    )


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request + b"version\r\n")
    answer = (await reader.readuntil(b"VERSION "))[:-8]
    writer.close()
    return answer


def states(proxy: AnyProxy) -> dict[str, Condition]:
    report = proxy.supervision.supervisor.servers(asyncio.get_running_loop().time())
    return {name: server.condition for name, server in report.items()}


def test_successful_writes_are_readable_afterwards(
    driver: str, run: Run, server: MemcachedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "mcroute")

    async def scenario() -> None:
        proxy = await start_proxy(driver, twice(server), settings=SETTINGS)
        try:
            assert states(proxy) == {"one": Condition.UP, "two": Condition.DUPLICATE}
            assert await ask(proxy.port, b"set n 0 0 1\r\n5\r\n") == b"STORED\r\n"
            assert await ask(proxy.port, b"incr n 1\r\n") == b"6\r\n"
            assert await ask(proxy.port, b"append n 0 0 1\r\n0\r\n") == b"STORED\r\n"
            assert await ask(proxy.port, b"add m 0 0 1\r\nx\r\n") == b"STORED\r\n"
            assert (
                await ask(proxy.port, b"get n m\r\n") == b"VALUE n 0 2\r\n60\r\nVALUE m 0 1\r\nx\r\nEND\r\n"
            )
            assert b"STAT two:state duplicate\r\n" in await ask(proxy.port, b"stats servers\r\n")
            # Its return is tried repeatedly, and the items under the other name are not flushed.
            await asyncio.sleep(0.5)
            assert await ask(proxy.port, b"get m\r\n") == b"VALUE m 0 1\r\nx\r\nEND\r\n"
        finally:
            await proxy.close()

    run(scenario())
    (line,) = [record.getMessage() for record in caplog.records if "out of service" in record.getMessage()]
    assert line.startswith(
        "server two is out of service: it is server one under another name: one memcached (pid "
    )


def test_the_client_notices_too(server: MemcachedServer) -> None:
    async def scenario() -> None:
        async with Client(twice(server), settings=SETTINGS) as client:
            while client.server_states() != {"one": State.UP, "two": State.EJECTED}:
                await asyncio.sleep(0.01)
            await client.set("n", 5)
            assert await client.incr("n", 1) == 6
            assert await client.get("n") == b"6"

    asyncio.run(scenario())


@pytest.mark.parametrize("driver", ["asyncio"], indirect=True)
def test_a_duplicate_serves_once_it_is_another_server(driver: str, run: Run, server: MemcachedServer) -> None:
    """By a reload, as the file is mended: without a pause, and with all that the first one holds."""

    async def scenario() -> None:
        proxy = await start_proxy(driver, twice(server), settings=SETTINGS)
        with MemcachedServer() as second:
            try:
                assert await ask(proxy.port, b"set m 0 0 1\r\nx\r\n") == b"STORED\r\n"
                servers = Server("one", server.host, server.port), Server("two", second.host, second.port)
                await proxy.reload(proxy_plan(*servers))
                while states(proxy) != {"one": Condition.UP, "two": Condition.UP}:
                    await asyncio.sleep(0.01)
                assert await ask(proxy.port, b"get m\r\n") == b"VALUE m 0 1\r\nx\r\nEND\r\n"
            finally:
                await proxy.close()

    run(scenario())


def proxy_plan(*servers: Server):  # type: ignore[no-untyped-def]
    from mcroute.policy import compile_plan  # noqa: PLC0415

    return compile_plan(Replicate(Pool("main", servers, reply_timeout_s=20, deadline_s=20)))


@contextlib.asynccontextmanager
async def containers(count: int) -> AsyncIterator[Replicate]:
    """Servers of one pid and start, as in containers: all of them are in this process."""
    with contextlib.ExitStack() as stack:
        addresses = [stack.enter_context(EmbeddedServer()).address for _ in range(count)]
        yield Replicate(Pool("main", Pool.of("main", addresses).servers, reply_timeout_s=20, deadline_s=20))


@pytest.mark.parametrize("driver", ["asyncio"], indirect=True)
def test_servers_of_one_pid_and_start_are_distinguished(driver: str, run: Run) -> None:
    async def scenario() -> None:
        async with containers(4) as route:
            proxy = await start_proxy(driver, route, settings=SETTINGS)
            try:
                supervisor = proxy.supervision.supervisor
                control = AsyncioControl(Resolver(Lookups()), Random(1))
                while not all(supervisor.process(number) for number in range(4)):
                    await asyncio.sleep(0.01)
                while any(supervisor.lookalikes(number) for number in range(4)):
                    await asyncio.sleep(0.01)
                assert set(states(proxy).values()) == {Condition.UP}
                for server in route.pool.servers:
                    # No key of the comparison is left.
                    assert (await control.stats(server))[b"curr_items"] == b"0"
            finally:
                await proxy.close()

    run(scenario())


def test_two_servers_are_one_store_if_a_key_of_one_is_on_the_other(server: MemcachedServer) -> None:
    async def scenario() -> None:
        with MemcachedServer() as second, socket.socket() as dead:
            dead.bind(("127.0.0.1", 0))
            control = AsyncioControl(Resolver(Lookups()), Random(1))
            here, there = Server("a", server.host, server.port), Server("b", second.host, second.port)
            assert await control.is_one_store(here, Server("c", "localhost", server.port))
            assert not await control.is_one_store(here, there)
            with pytest.raises(OSError):
                await control.is_one_store(here, Server("d", "127.0.0.1", dead.getsockname()[1]))
            assert (await control.stats(here))[b"curr_items"] == b"0"

    asyncio.run(scenario())
