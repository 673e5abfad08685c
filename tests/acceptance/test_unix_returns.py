"""Servers behind unix sockets: connections without names, and no network that holds anything back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcroute.policy import HealthSettings, Pool, Replicate, State, SupervisorSettings
from mcroute.testing import MemcachedServer, find_memcached

from .drivers import AnyProxy, Run, start_proxy
from .load import Load, connected

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

# No server returns because time has passed.
HEALTH = HealthSettings(retry_base_s=0.1, retry_cap_s=0.2)
SETTINGS = SupervisorSettings(HEALTH, refence_s=0.05, fence_listed_s=1000.0, fence_blind_s=1000.0)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[MemcachedServer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer(path=str(tmp_path / str(i)))) for i in range(3)]


async def out_with_writes_lost(proxy: AnyProxy, server: MemcachedServer, load: Load) -> None:
    server.pause()
    # The writes that wait are lost when it is fenced, or killed.
    while proxy.supervision.supervisor.state(0) is State.UP:
        await asyncio.sleep(0.01)
    await load.rounds(50)


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_server_on_a_unix_socket_returns_when_nothing_of_ours_is_left(
    run: Run, driver: str, servers: list[MemcachedServer], is_killed: bool
) -> None:
    async def scenario() -> None:
        pool = Pool("main", Pool.of("main", [s.address for s in servers]).servers, reply_timeout_s=0.3)
        proxy = await start_proxy(driver, Replicate(pool, copies=2), settings=SETTINGS)
        supervisor = proxy.supervision.supervisor
        load = Load(lambda: connected(proxy.port))
        async with load.running():
            await load.rounds(300)
            await out_with_writes_lost(proxy, servers[0], load)
            if is_killed:
                servers[0].kill()
                await asyncio.to_thread(servers[0].start)
            else:
                # Only now, because a fence has closed the links that did not answer.
                while not supervisor._records[0].lost:
                    await asyncio.sleep(0.01)
                servers[0].resume()
            while supervisor.state(0) is not State.UP:
                await asyncio.sleep(0.01)
            await load.rounds(300)
        assert load.faults == []
        await proxy.close()

    run(scenario())
