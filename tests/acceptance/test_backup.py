"""A primary with a backup, on real servers."""

from __future__ import annotations

import asyncio

import pytest

from mcroute.policy import HealthSettings, Pool, Replicate, Server, SupervisorSettings
from mcroute.testing import MemcachedServer, find_memcached

from .clients import Client
from .drivers import Run, start_proxy
from .test_gutter import serves, store, until, values

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=0.1, retry_cap_s=0.2))


def route(*servers: MemcachedServer) -> Replicate:
    members = tuple(Server.parse(each.address, name=f"s{n}") for n, each in enumerate(servers))
    pool = Pool("main", members, connect_timeout_s=1, reply_timeout_s=0.5, deadline_s=3, trip_after=2)
    return Replicate(pool, copies=2, write="backup")


def test_a_backup_takes_over_with_every_store(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as other:
            proxy = await start_proxy(driver, route(one, other), settings=SETTINGS)
            client = await Client.to(proxy)
            await store(client, b"v1")
            await store(client, b"v2")
            for number, server in enumerate((one, other)):
                # All keys have both servers: each is the backup of some of them.
                there = await Client.to(server)
                await until_copied(client)
                assert await values(there) == {b"v2"}, number
                await there.close()
            one.kill()
            await serves(proxy, 0, False)
            assert await values(client) == {b"v2"}
            await store(client, b"v3")
            assert await values(client) == {b"v3"}
            await client.close()
            await proxy.close(0.1)

    async def until_copied(client: Client) -> None:
        while any(
            value != "0"
            for name, value in (await client.stats("servers")).items()
            if name.endswith(":copies_waiting")
        ):
            await asyncio.sleep(0.01)

    run(scenario())


def test_what_a_stopped_backup_has_not_got_is_not_read_there(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as other:
            proxy = await start_proxy(driver, route(one, other), settings=SETTINGS)
            client = await Client.to(proxy)
            await store(client, b"v1")
            one.pause()
            # Also keys whose primary has stopped: they are stored on the other server.
            await store(client, b"v2")
            await serves(proxy, 0, False)
            assert await values(client) == {b"v2"}
            one.resume()
            await serves(proxy, 0, True)
            journals = proxy.supervision.journals()
            await until(lambda: len(journals["s0"]) == 0)
            other.kill()
            await serves(proxy, 1, False)
            assert await values(client) <= {b"v2", None}
            await client.close()
            await proxy.close(0.1)

    run(scenario())
