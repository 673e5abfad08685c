"""Servers that answer late, behind a relay, with every driver: they leave, and return when they are quick."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from mcroute.policy import (
    Cause,
    HealthSettings,
    Outlier,
    OutlierSettings,
    Pool,
    Reason,
    Replicate,
    State,
    Supervisor,
    SupervisorSettings,
)
from mcroute.testing import MemcachedServer, Relay, find_memcached

from .clients import Client
from .drivers import AnyProxy, Run, start_proxy

pytestmark = pytest.mark.skipif(find_memcached() is None, reason="no memcached")

CLIENTS = 12
# A machine under load stalls for longer than the floor of the defaults; +50 ms is far above this one.
SETTINGS = SupervisorSettings(
    HealthSettings(retry_base_s=0.2, retry_cap_s=0.4), outliers=OutlierSettings(latency_floor_s=0.025)
)


@pytest.fixture
def relays() -> Iterator[list[Relay]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(MemcachedServer()) for _ in range(3)]
        yield [stack.enter_context(Relay((server.host, server.port))) for server in servers]


async def ask_on(proxy: AnyProxy, client: int) -> None:
    connection = await Client.to(proxy)
    try:
        number = 0
        while True:
            number += 1
            key = b"%d" % (number * CLIENTS + client)
            if number % 8 == 0:
                await connection.ask(b"set %b 0 0 1\r\nx\r\n" % key)
            else:
                await connection.ask(b"get %b\r\n" % key, b"END\r\n")
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def until(supervisor: Supervisor, server: int, is_up: bool) -> None:
    while (supervisor.state(server) is State.UP) is not is_up:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("delay_s", [0.05, 0.2])
def test_a_grey_server_leaves_and_returns_when_it_is_quick(
    run: Run, driver: str, relays: list[Relay], delay_s: float
) -> None:
    async def scenario() -> None:
        pool = Pool.of("main", [relay.address for relay in relays], deadline_s=5.0, reply_timeout_s=2.0)
        proxy = await start_proxy(driver, Replicate(pool, copies=2, read="random"), settings=SETTINGS)
        load = [asyncio.create_task(ask_on(proxy, number)) for number in range(CLIENTS)]
        supervisor = proxy.supervision.supervisor
        number = proxy.engine.server_ids()[relays[1].address]
        # It takes a window of each server to know how quick they are.
        await asyncio.sleep(1.5)
        assert supervisor.state(number) is State.UP
        relays[1].delay_s = delay_s
        await until(supervisor, number, False)
        reason = supervisor.servers(0.0)[relays[1].address].reason
        assert reason is not None and reason.cause is Cause.LATENCY and "p25" in str(reason)
        # Two probes at least: they are answered, but late.
        await asyncio.sleep(1.0)
        assert supervisor.state(number) is not State.UP
        relays[1].delay_s = 0.0
        await until(supervisor, number, True)
        assert all(supervisor.state(other) is State.UP for other in proxy.engine.server_ids().values())
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
        await proxy.close(0)

    run(scenario())


def test_the_cause_and_its_figures_are_in_stats_and_metrics(
    run: Run, driver: str, relays: list[Relay]
) -> None:
    async def scenario() -> None:
        pool = Pool.of("main", [relay.address for relay in relays])
        settings = SupervisorSettings(HealthSettings(retry_base_s=1000, retry_cap_s=1000))
        proxy = await start_proxy(driver, Replicate(pool, copies=2), settings=settings)
        number = proxy.engine.server_ids()[relays[1].address]
        reason = Reason(Cause.LATENCY, ("p25 23 ms over 180 replies, the others' 0.4 ms",))
        proxy.supervision._found_outlier(Outlier(number, reason, 0.01))
        client = await Client.to(proxy)
        stats = await client.ask(b"stats servers\r\n", b"END\r\n")
        name = relays[1].address.encode()
        assert b"STAT %b:cause latency\r\n" % name in stats
        assert b"STAT %b:fault %b\r\n" % (name, str(reason).encode()) in stats
        metrics = await client.ask(b"stats mcroute\r\n", b"END\r\n")
        assert b"latency" in metrics
        await client.close()
        await proxy.close(0)

    run(scenario())
