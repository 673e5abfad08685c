"""A gutter on real servers: what it took is not read at the next failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mcroute.policy import Failover, HealthSettings, Pool, PoolRoute, Server, State, SupervisorSettings
from mcroute.runtime import standins
from mcroute.testing import MemcachedServer, find_memcached

from .clients import Client
from .drivers import AnyProxy, Run, start_proxy

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

KEYS = [f"k{i}" for i in range(40)]
TTL_MAX_S = 300
SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=0.1, retry_cap_s=0.2))


def pool(name: str, *servers: MemcachedServer) -> Pool:
    members = tuple(Server.parse(each.address, name=f"{name}-{n}") for n, each in enumerate(servers))
    return Pool(name, members, connect_timeout_s=1, reply_timeout_s=0.3, deadline_s=2, trip_after=2)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


async def serves(proxy: AnyProxy, server: int, state: bool) -> None:
    await until(lambda: (proxy.supervision.supervisor.state(server) is State.UP) is state)


async def values(client: Client) -> set[bytes | None]:
    return {await client.get(key) for key in KEYS}


async def store(client: Client, value: bytes) -> None:
    for key in KEYS:
        assert await client.ask(b"set %b 0 0 2\r\n%b\r\n" % (key.encode(), value)) == b"STORED\r\n"


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins of a new proxy are known to be empty."""
    monkeypatch.setattr(standins, "SLACK_S", -TTL_MAX_S)


@pytest.mark.usefixtures("no_wait")
@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_what_a_stand_in_took_is_deleted_before_it_stands_in_again(driver: str, run: Run, fault: str) -> None:
    async def scenario() -> None:
        with MemcachedServer() as first, MemcachedServer() as gutter:
            route = Failover(
                [PoolRoute(pool("main", first)), PoolRoute(pool("gutter", gutter))], ttl_max_s=TTL_MAX_S
            )
            proxy = await start_proxy(driver, route, settings=SETTINGS)
            client, there = await Client.to(proxy), await Client.to(gutter)

            async def fails() -> None:
                first.kill() if fault == "killed" else first.pause()
                while (await client.ask(b"get none\r\n")).startswith(b"SERVER_ERROR"):
                    await asyncio.sleep(0.01)
                await serves(proxy, 0, False)

            async def returns() -> None:
                await asyncio.to_thread(first.start if fault == "killed" else first.resume)
                await serves(proxy, 0, True)

            await store(client, b"v0")
            await fails()
            await store(client, b"v1")
            assert await values(client) == {b"v1"}
            lifetime = int((await there.ask(b"mg k0 t\r\n")).split(b" t")[1])
            assert TTL_MAX_S - 10 <= lifetime <= TTL_MAX_S
            await returns()
            # Deleted there at once, long before the end of their lifetimes.
            await until(lambda: proxy.supervision.standins()["gutter-0"] == (0, len(KEYS)))
            assert await values(there) == {None}
            assert await values(client) == {None}
            await store(client, b"v2")
            await fails()
            assert await values(client) == {None}
            await returns()
            rows = await client.stats("servers")
            assert rows["gutter-0:standin_deleted_keys"] == str(len(KEYS))
            await client.close()
            await there.close()
            await proxy.close(0.1)

    run(scenario())


@pytest.mark.usefixtures("no_wait")
def test_a_stand_in_that_cannot_be_cleaned_is_not_read(driver: str, run: Run) -> None:
    """The stand-in hangs while its keys are due, and both servers fail in turn."""

    async def scenario() -> None:
        with MemcachedServer() as first, MemcachedServer() as gutter:
            route = Failover(
                [PoolRoute(pool("main", first)), PoolRoute(pool("gutter", gutter))], ttl_max_s=TTL_MAX_S
            )
            proxy = await start_proxy(driver, route, settings=SETTINGS)
            client = await Client.to(proxy)
            first.kill()
            await serves(proxy, 0, False)
            await store(client, b"v1")
            gutter.pause()
            await asyncio.to_thread(first.start)
            await serves(proxy, 0, True)
            await store(client, b"v2")
            first.kill()
            await serves(proxy, 0, False)
            gutter.resume()
            for key in KEYS:
                reply = await client.ask(b"get %b\r\n" % key.encode())
                assert b"VALUE" not in reply
            await asyncio.to_thread(first.start)
            await serves(proxy, 0, True)
            await until(lambda: proxy.supervision.standins()["gutter-0"][0] == 0)
            await client.close()
            await proxy.close(0.1)

    run(scenario())


def test_a_new_proxy_does_not_trust_a_stand_in_at_once(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with MemcachedServer() as first, MemcachedServer() as gutter:
            there = await Client.to(gutter)
            await store(there, b"v1")
            route = Failover([PoolRoute(pool("main", first)), PoolRoute(pool("gutter", gutter))], TTL_MAX_S)
            proxy = await start_proxy(driver, route, settings=SETTINGS)
            client = await Client.to(proxy)
            first.kill()
            await serves(proxy, 0, False)
            assert (await client.ask(b"get k0\r\n")).startswith(b"SERVER_ERROR")
            assert await client.ask(b"delete k0\r\n") == b"DELETED\r\n"
            await client.close()
            await there.close()
            await proxy.close(0.1)

    run(scenario())
