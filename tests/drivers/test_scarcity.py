"""Descriptors and memory run out: the clients that use them wait or are closed, servers stay in service."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import Iterator

import pytest

from mcroute.policy import Limits, Pool, PoolRoute, Replicate, Server, State
from mcroute.testing import EmbeddedServer, Relay
from tests.acceptance.clients import Client
from tests.acceptance.drivers import DRIVERS, AnyProxy, runner, start_proxy

pytestmark = pytest.mark.parametrize("driver", DRIVERS)

SHARE = 4 << 20  # the least


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """The process gets no more of them; those that it has go on."""
    import resource  # noqa: PLC0415

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def are_up(proxy: AnyProxy) -> bool:
    reports = proxy.supervision.supervisor.servers(asyncio.get_running_loop().time())
    return all(report.state is State.UP for report in reports.values())


@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="no limit of descriptors")
def test_a_link_without_a_descriptor_waits_and_its_server_has_not_failed(
    driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as one, EmbeddedServer() as other, contextlib.ExitStack() as stack:
            relay = stack.enter_context(Relay((one.host, one.port)))
            pool = Pool.of("main", [relay.address, other.address])
            async with await start_proxy(driver, Replicate(pool, copies=2)) as proxy:
                client = await Client.to(proxy)
                assert await client.ask(b"set k 0 0 1\r\nx\r\n") == b"STORED\r\n"
                # In every thread: a later connection would need a descriptor of the relay.
                while proxy.supervision.links[0].connected < len(proxy.supervision.links[0]):
                    await asyncio.sleep(0.01)
                with no_descriptors():
                    relay.cut()
                    line = f"no descriptor or memory is left for a connection to server {relay.address}"
                    while line not in caplog.messages:
                        await asyncio.sleep(0.01)
                    assert are_up(proxy)
                    # Once, not for each attempt and link.
                    await asyncio.sleep(0.3)
                    assert caplog.messages.count(line) == 1
                while proxy.supervision.links[0].connected < len(proxy.supervision.links[0]):
                    await asyncio.sleep(0.01)
                assert await client.ask(b"set k 0 0 1\r\ny\r\n") == b"STORED\r\n"
                assert are_up(proxy)
                await client.close()

    runner(driver)(scenario())


def test_a_client_that_reads_nothing_is_closed_and_harms_nobody(driver: str) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:
            members = (Server.parse(server.address),)
            # With long timeouts, so that a busy machine does not matter.
            pool = Pool("main", members, reply_timeout_s=20, deadline_s=30)
            limits = Limits(reply_memory_max=SHARE)
            async with await start_proxy(driver, PoolRoute(pool), limits=limits, threads=1) as proxy:
                client = await Client.to(proxy)
                value = b"x" * 50_000
                assert await client.ask(b"set big 0 0 %d\r\n%s\r\n" % (len(value), value)) == b"STORED\r\n"
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=1)
                # Far more than buffers and the share hold; the reader stops taking it. When no
                # further value fits into the share, the refusals of the rest fill it.
                writer.write(b"get big\r\n" * 2000)
                while proxy.observe().snapshot.counters["closed_memory"] == 0:
                    assert await client.ask(b"get small\r\n") == b"END\r\n"
                with contextlib.suppress(ConnectionError):
                    while await reader.read(1 << 20):
                        pass
                writer.close()
                assert await client.ask(b"set k 0 0 1\r\nx\r\n") == b"STORED\r\n"
                assert are_up(proxy)
                snapshot = proxy.observe().snapshot
                assert snapshot.counters["closed_memory"] == 1
                assert snapshot.servers[server.address].counters["disconnects"] == 0
                await client.close()

    runner(driver)(scenario())
