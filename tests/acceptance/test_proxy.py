"""Proxies in front of real memcacheds: what clients see while servers die, hang and return."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest

from mcroute.policy import HealthSettings, Pool, PoolRoute, Replicate, Route, State, SupervisorSettings
from mcroute.testing import MemcachedServer, Relay, find_memcached

from .clients import Client
from .drivers import AnyProxy, Run, start_proxy
from .load import Load, connected

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

ProxyFor = Callable[..., contextlib.AbstractAsyncContextManager[AnyProxy]]
# Servers come back soon, so that tests see several returns.
SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=0.2, retry_cap_s=0.4), refence_s=0.05)


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer()) for _ in range(4)]


def pool(servers: list[MemcachedServer], **options: float) -> Pool:
    # A slow machine, or a sanitizer, must not look like a failed server.
    timeouts = {"reply_timeout_s": 5.0, "deadline_s": 10.0}
    return Pool("main", Pool.of("main", [s.address for s in servers]).servers, **{**timeouts, **options})


@pytest.fixture
def proxy_for(driver: str) -> ProxyFor:
    @contextlib.asynccontextmanager
    async def proxy_for(route: Route, settings: SupervisorSettings = SETTINGS) -> AsyncIterator[AnyProxy]:
        proxy = await start_proxy(driver, route, settings=settings)
        try:
            yield proxy
        finally:
            await proxy.close(1.0)

    return proxy_for


CONVERSATION = [
    (b"set a 5 0 3\r\nold\r\n", b"STORED\r\n"),
    (b"get a\r\n", b"VALUE a 5 3\r\nold\r\nEND\r\n"),
    (b"add a 0 0 1\r\nx\r\n", b"NOT_STORED\r\n"),
    (b"add b 0 0 1\r\n7\r\n", b"STORED\r\n"),
    (b"replace a 0 0 3\r\nnew\r\n", b"STORED\r\n"),
    (b"append a 0 0 1\r\n!\r\n", b"STORED\r\n"),
    (b"prepend a 0 0 1\r\n>\r\n", b"STORED\r\n"),
    (b"get a b c\r\n", b"VALUE a 0 5\r\n>new!\r\nVALUE b 0 1\r\n7\r\nEND\r\n"),
    (b"incr b 5\r\n", b"12\r\n"),
    (b"decr b 20\r\n", b"0\r\n"),
    (b"incr c 1\r\n", b"NOT_FOUND\r\n"),
    (b"touch b 100\r\n", b"TOUCHED\r\n"),
    (b"touch c 100\r\n", b"NOT_FOUND\r\n"),
    (b"gat 100 b\r\n", b"VALUE b 0 2\r\n0 \r\nEND\r\n"),
    (b"cas a 0 0 1 999999\r\nx\r\n", b"EXISTS\r\n"),
    (b"cas c 0 0 1 1\r\nx\r\n", b"NOT_FOUND\r\n"),
    (b"set d 0 0 1 noreply\r\nd\r\nget d\r\n", b"VALUE d 0 1\r\nd\r\nEND\r\n"),
    (b"delete a\r\n", b"DELETED\r\n"),
    (b"delete a\r\n", b"NOT_FOUND\r\n"),
    (b"delete d noreply\r\nget d\r\n", b"END\r\n"),
]


def test_classic_commands(run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer]) -> None:
    async def scenario() -> None:
        async with proxy_for(PoolRoute(pool(servers))) as proxy:
            client = await Client.to(proxy)
            for request, reply in CONVERSATION:
                client.writer.write(request)
                assert (request, await client.reader.readexactly(len(reply))) == (request, reply)
            await client.ask(b"set e 0 0 1\r\ne\r\n")
            token = (await client.ask(b"gets e\r\n", b"END\r\n")).split()[4]
            assert await client.ask(b"cas e 0 0 1 %s\r\nE\r\n" % token) == b"STORED\r\n"
            assert await client.get("e") == b"E"
            await client.close()

    run(scenario())


def test_a_client_that_half_closes_gets_its_replies(
    run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer]
) -> None:
    async def scenario() -> None:
        async with proxy_for(PoolRoute(pool(servers))) as proxy:
            client = await Client.to(proxy)
            client.writer.write(b"set a 0 0 1\r\na\r\n" + b"get a\r\n" * 5000)
            client.writer.write_eof()
            assert await client.reader.read() == b"STORED\r\n" + b"VALUE a 0 1\r\na\r\nEND\r\n" * 5000
            await client.close()

    run(scenario())


def test_a_client_that_does_not_read_holds_up_nobody(
    run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer]
) -> None:
    """64 MB of replies are asked for and not read; they arrive whole once they are."""

    async def scenario() -> None:
        async with proxy_for(PoolRoute(pool(servers))) as proxy:
            idle, busy = await Client.to(proxy), await Client.to(proxy)
            value = b"v" * 64_000
            await idle.ask(b"set big 0 0 64000\r\n%s\r\n" % value)
            idle.writer.write(b"get big\r\n" * 1000)
            for i in range(200):
                await busy.ask(b"set k%d 0 0 1\r\n1\r\n" % i)
                assert await busy.get(f"k{i}") == b"1"
            reply = b"VALUE big 0 64000\r\n%s\r\nEND\r\n" % value
            for _ in range(1000):
                assert await idle.reader.readexactly(len(reply)) == reply
            await idle.close()
            await busy.close()

    run(scenario())


def test_closing_answers_requests_that_were_received(
    run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer]
) -> None:
    async def scenario() -> None:
        async with proxy_for(PoolRoute(pool(servers))) as proxy:
            client = await Client.to(proxy)
            await client.ask(b"set a 0 0 1\r\na\r\n")
            client.writer.write(b"get a\r\n" * 100)
            first = await client.reader.readexactly(23)
            await proxy.close()
            assert first + await client.reader.read() == b"VALUE a 0 1\r\na\r\nEND\r\n" * 100
            with pytest.raises(OSError):
                await Client.to(proxy)
            await client.close()

    run(scenario())


def load_on(proxy: AnyProxy) -> Load:
    return Load(lambda: connected(proxy.port))


async def until_state(proxy: AnyProxy, state: State, *servers: int) -> None:
    supervisor = proxy.supervision.supervisor
    while any(supervisor.state(server) is not state for server in servers):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("links", [1, 3])
def test_a_killed_server_costs_no_request_and_returns_without_old_values(
    run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer], links: int
) -> None:
    async def scenario() -> None:
        async with proxy_for(Replicate(pool(servers, links=links), copies=2)) as proxy:
            async with load_on(proxy).running(50) as load:
                await load.rounds(3000)
                for _ in range(2):
                    servers[1].kill()
                    await until_state(proxy, State.EJECTED, 1)
                    await load.rounds(3000)
                    servers[1].start()
                    await until_state(proxy, State.UP, 1)
                    await load.rounds(3000)
            assert load.faults == []
            assert load.errors == []
            assert load.misses == 0

    run(scenario())


@pytest.mark.parametrize("links", [1, 3])
def test_a_stopped_server_delays_within_the_deadline_and_returns_without_old_values(
    run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer], links: int
) -> None:
    async def scenario() -> None:
        # This test waits for these timeouts; they are long enough for a machine that is slow for a moment.
        route = Replicate(pool(servers, links=links, reply_timeout_s=0.5, deadline_s=1.5), copies=2)
        async with proxy_for(route) as proxy:
            async with load_on(proxy).running(50) as load:
                await load.rounds(3000)
                for _ in range(2):
                    servers[2].pause()
                    await until_state(proxy, State.EJECTED, 2)
                    await load.rounds(3000)
                    servers[2].resume()
                    await until_state(proxy, State.UP, 2)
                    await load.rounds(3000)
            assert load.faults == []
            assert load.errors == []
            assert load.misses == 0
            # Far above the deadline, for busy machines, and far below what waiting for the server would take.
            assert load.slowest < 1.5 + 2.0

    run(scenario())


def test_a_server_behind_an_address_translation_returns_after_a_while(
    run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer]
) -> None:
    """Its list of connections names none of ours; here a relay is what hides them."""
    settings = replace(SETTINGS, fence_blind_s=0.3)

    async def scenario(relay: Relay) -> None:
        members = Pool.of("main", [relay.address, servers[1].address, servers[2].address])
        async with (
            proxy_for(Replicate(members, copies=2), settings) as proxy,
            load_on(proxy).running() as load,
        ):
            await load.rounds(300)
            while proxy.supervision.supervisor.state(0) is State.UP:
                # Only the loss of a connection with a write ejects the server.
                relay.cut()
                await asyncio.sleep(0.01)
            await until_state(proxy, State.UP, 0)
            await load.rounds(500)
        assert load.faults == []
        assert load.errors == []

    with Relay(("127.0.0.1", servers[0].port)) as relay:
        run(scenario(relay))


def test_requests_to_a_stopped_server_end_with_an_error(
    run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer]
) -> None:
    async def scenario() -> None:
        alone = pool(servers[:1], reply_timeout_s=0.2, deadline_s=0.4)
        async with proxy_for(PoolRoute(alone)) as proxy:
            client = await Client.to(proxy)
            assert await client.ask(b"set a 0 0 1\r\na\r\n") == b"STORED\r\n"
            servers[0].pause()
            for _ in range(6):
                assert (await client.ask(b"get a\r\n")).startswith(b"SERVER_ERROR ")
            servers[0].resume()
            # The last server of a pool stays in service, without a return; threads learn it later.
            while (reply := await client.ask(b"get a\r\n")).startswith(b"SERVER_ERROR "):
                await asyncio.sleep(0.001)
            assert reply + await client.reader.readuntil(b"END\r\n") == b"VALUE a 0 1\r\na\r\nEND\r\n"
            await client.close()

    run(scenario())


def test_servers_that_are_not_there_yet_serve_when_they_come(
    run: Run, proxy_for: ProxyFor, servers: list[MemcachedServer]
) -> None:
    async def scenario() -> None:
        servers[3].kill()
        async with proxy_for(Replicate(pool(servers), copies=2)) as proxy:
            assert proxy.supervision.supervisor.state(3) is not State.UP
            async with load_on(proxy).running() as load:
                await load.rounds(200)
                servers[3].start()
                await until_state(proxy, State.UP, 3)
                await load.rounds(500)
            assert load.faults == []
            assert load.errors == []

    run(scenario())
