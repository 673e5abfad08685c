"""The native loop's connections to servers, and the plans that they belong to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from mcroute.policy import Null, Plan, Pool, PoolRoute, Server, Upkeep, compile_plan
from mcroute.policy.server_options import LINKS_MAX
from mcroute.runtime.link_values import EVENTS_MAX
from mcroute.testing import EmbeddedServer, Relay, free_port

from .clients import Client, Scripted
from .drivers import HAS_NATIVE, Run, runner, start_proxy

native = pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")

if HAS_NATIVE:
    from mcroute._loop.threads import LoopThread
    from mcroute.drivers.asyncio.addresses import Resolver
    from mcroute.proxy.native_service import NativeService

run_native = runner("native")


@contextlib.contextmanager
def unreachable() -> Iterator[int]:
    """A port that never takes a connection, nor refuses it: who listens has all that it can take."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield full.getsockname()[1]


# ---- plans ----


@native
def test_a_request_ends_on_the_plan_that_it_began_on_which_is_then_freed() -> None:
    async def scenario() -> None:
        async with Scripted.running() as old, Scripted.running() as new:
            proxy = NativeService(compile_plan(old.route(reply_timeout_s=20, deadline_s=30)), threads=2)
            await proxy.start()
            client, other = await Client.to(proxy), await Client.to(proxy)
            client.writer.write(b"get k\r\n")
            writer, _ = await old.asked()
            await proxy.reload(compile_plan(new.route()))
            for _ in range(3):
                other.writer.write(b"get k\r\n")
                answering, _ = await new.asked()
                answering.write(b"END\r\n")
                assert await other.reader.readline() == b"END\r\n"
            assert proxy.engine.free_plans() == 1
            writer.write(b"VALUE k 0 1\r\nx\r\nEND\r\n")
            assert await client.reader.readuntil(b"END\r\n") == b"VALUE k 0 1\r\nx\r\nEND\r\n"
            while proxy.engine.free_plans() > 0:
                await asyncio.sleep(0.01)
            await client.close()
            await other.close()
            await proxy.close()

    run_native(scenario())


def living_plans() -> int:
    gc.collect()
    return sum(isinstance(thing, Plan) for thing in gc.get_objects())


@native
def test_reloads_without_end_keep_neither_plans_nor_ids() -> None:
    before = living_plans()

    async def scenario() -> None:
        with EmbeddedServer() as a, EmbeddedServer() as b:
            routes = [PoolRoute(Pool.of("main", [server.address])) for server in (a, b)]
            async with NativeService(compile_plan(routes[0]), threads=2) as proxy:
                await proxy.start()
                client = await Client.to(proxy)
                for i in range(30):
                    await proxy.reload(compile_plan(routes[i % 2]))
                    assert await client.ask(b"get k\r\n") == b"END\r\n"
                while living_plans() > before + 1:
                    await asyncio.sleep(0.01)
                assert max(proxy.engine.server_ids().values()) < 4
                await client.close()

    run_native(scenario())


@native
def test_reloads_under_load_are_noticed_by_nobody() -> None:
    async def scenario() -> None:
        with EmbeddedServer() as a, EmbeddedServer() as b:
            servers = [Server.parse(server.address, name="same") for server in (a, b)]
            plans = [compile_plan(PoolRoute(Pool("main", (server,)))) for server in servers]
            plans.append(compile_plan(Null()))
            async with NativeService(plans[0], threads=2) as proxy:
                await proxy.start()
                is_over = asyncio.Event()

                async def ask() -> int:
                    client = await Client.to(proxy)
                    count = 0
                    while not is_over.is_set():
                        assert await client.ask(b"get k\r\n") == b"END\r\n"
                        count += 1
                    await client.close()
                    return count

                asking = [asyncio.create_task(ask()) for _ in range(8)]
                for i in range(40):
                    await proxy.reload(plans[i % 3])
                    await asyncio.sleep(0.005)
                is_over.set()
                assert all(await asyncio.gather(*asking))

    run_native(scenario())


async def answer_flushes(server: Scripted) -> None:
    while True:
        writer, request = await server.asked()
        assert request == b"flush_all\r\n"
        writer.write(b"OK\r\n")


def test_a_server_that_is_removed_twice_still_answers_requests_from_before(run: Run, driver: str) -> None:
    async def scenario() -> None:
        async with Scripted.running() as leaves, Scripted.running() as stays:
            away = compile_plan(stays.route())
            first = leaves.route(reply_timeout_s=20, deadline_s=30)
            proxy = await start_proxy(driver, first, upkeep=Upkeep(retire_timeout_s=0.2))
            client = await Client.to(proxy)
            client.writer.write(b"get k\r\n")
            writer, _ = await leaves.asked()
            flushing = [asyncio.create_task(answer_flushes(server)) for server in (leaves, stays)]
            for plan in (away, compile_plan(leaves.route(reply_timeout_s=20, deadline_s=30)), away):
                await proxy.reload(plan)
            await asyncio.sleep(0.5)
            for task in flushing:
                task.cancel()
            writer.write(b"END\r\n")
            assert await client.reader.readline() == b"END\r\n"
            await client.close()
            await proxy.close()

    run(scenario())


# ---- connecting ----


def test_a_server_that_is_refused_is_tried_again_and_again(run: Run, driver: str) -> None:
    async def scenario() -> None:
        port = free_port()
        proxy = await start_proxy(driver, PoolRoute(Pool.of("main", [f"127.0.0.1:{port}"])))
        client = await Client.to(proxy)
        assert (await client.ask(b"get k\r\n")).startswith(b"SERVER_ERROR ")
        with EmbeddedServer(port) as server:
            while await client.ask(b"get k\r\n") != b"END\r\n":
                await asyncio.sleep(0.01)
            server.kill()
            while not (await client.ask(b"get k\r\n")).startswith(b"SERVER_ERROR "):
                await asyncio.sleep(0.01)
            server.restart()
            while await client.ask(b"get k\r\n") != b"END\r\n":
                await asyncio.sleep(0.01)
        await client.close()
        await proxy.close()

    run(scenario())


@pytest.mark.parametrize("greeting", [b"", b"-ERR unknown command 'version'\r\n"])
def test_one_that_takes_connections_and_is_no_memcached_is_not_asked_all_the_time(
    run: Run, driver: str, greeting: bytes
) -> None:
    async def scenario() -> None:
        count = 0

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            writer.write(greeting)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        proxy = await start_proxy(driver, PoolRoute(Pool.of("main", [f"127.0.0.1:{port}"])), threads=1)
        await asyncio.sleep(1.0)
        # 0, 50, 100, 200, 400 ms, each less up to a half, and the supervisor's probes.
        assert 2 <= count < 20
        await proxy.close()
        server.close()

    run(scenario())


def test_a_server_that_does_not_take_the_connection_is_an_error_in_time(run: Run, driver: str) -> None:
    async def scenario(port: int) -> None:
        pool = Pool("main", (Server.parse(f"127.0.0.1:{port}"),), connect_timeout_s=0.1)
        proxy = await start_proxy(driver, PoolRoute(pool))
        client = await Client.to(proxy)
        assert (await client.ask(b"get k\r\n")).startswith(b"SERVER_ERROR ")
        await client.close()
        await proxy.close()

    with unreachable() as port:
        run(scenario(port))


# ---- names of hosts ----


@native
def test_more_events_than_one_call_takes_are_all_handled() -> None:
    """All links of several servers are lost, and connected again, with more events than one call takes."""
    count = 5
    assert count * LINKS_MAX > EVENTS_MAX

    async def scenario() -> None:
        with contextlib.ExitStack() as stack:
            relays = []
            for _ in range(count):
                server = stack.enter_context(EmbeddedServer())
                relays.append(stack.enter_context(Relay((server.host, server.port))))
            members = Pool.of("main", [relay.address for relay in relays]).servers
            async with NativeService(
                compile_plan(PoolRoute(Pool("main", members, links=LINKS_MAX))), threads=1
            ) as proxy:
                await proxy.start()

                async def connected(times: int) -> None:
                    while True:
                        servers = proxy.observe().snapshot.servers.values()
                        if all(s.counters["connects"] == times * LINKS_MAX for s in servers):
                            return
                        await asyncio.sleep(0.01)

                await connected(1)
                for relay in relays:
                    relay.cut()
                await connected(2)
                # The supervisor has its event: the connection is no longer awaited.
                while proxy.supervision._missed_before_loss:
                    await asyncio.sleep(0.01)

    run_native(scenario())


@native
def test_a_name_is_looked_up_again_when_its_address_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as first, EmbeddedServer() as second:
            known = {"cache.example": [("127.0.0.1", first.port)]}

            async def resolve(server: Server) -> list[tuple[str, int]]:
                return known[server.host]

            monkeypatch.setattr(Resolver, "resolve", staticmethod(resolve))
            route = PoolRoute(Pool("main", (Server("cache", "cache.example", 11211),)))
            async with NativeService(compile_plan(route), threads=2) as proxy:
                await proxy.start()
                client = await Client.to(proxy)
                assert await client.ask(b"set k 0 0 1\r\n1\r\n") == b"STORED\r\n"
                assert first.store is not second.store
                known["cache.example"] = [("127.0.0.1", second.port)]
                first.kill()
                while await client.ask(b"set k 0 0 1\r\n2\r\n") != b"STORED\r\n":
                    await asyncio.sleep(0.01)
                await client.close()

    run_native(scenario())


@native
@pytest.mark.parametrize("is_refused", [True, False])
def test_the_other_addresses_of_a_name_are_tried(monkeypatch: pytest.MonkeyPatch, is_refused: bool) -> None:
    async def scenario(port: int) -> None:
        with EmbeddedServer() as server:

            async def resolve(_: Server) -> list[tuple[str, int]]:
                return [("127.0.0.1", port), ("127.0.0.1", server.port)]

            monkeypatch.setattr(Resolver, "resolve", staticmethod(resolve))
            pool = Pool("main", (Server("cache", "cache.example", 11211),), connect_timeout_s=0.1)
            async with NativeService(compile_plan(PoolRoute(pool)), threads=1) as proxy:
                await proxy.start()
                client = await Client.to(proxy)
                while await client.ask(b"get k\r\n") != b"END\r\n":
                    await asyncio.sleep(0.01)
                await client.close()

    if is_refused:
        run_native(scenario(free_port()))
    else:
        with unreachable() as port:
            run_native(scenario(port))


@native
def test_a_name_that_nobody_knows_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:
            is_known = False

            async def resolve(_: Server) -> list[tuple[str, int]]:
                if not is_known:
                    raise OSError("nobody knows it")
                return [("127.0.0.1", server.port)]

            monkeypatch.setattr(Resolver, "resolve", staticmethod(resolve))
            route = PoolRoute(Pool("main", (Server("cache", "cache.example", 11211),)))
            async with NativeService(compile_plan(route), threads=2) as proxy:
                await proxy.start()
                client = await Client.to(proxy)
                assert (await client.ask(b"get k\r\n")).startswith(b"SERVER_ERROR ")
                is_known = True
                while await client.ask(b"get k\r\n") != b"END\r\n":
                    await asyncio.sleep(0.01)
                await client.close()

    run_native(scenario())


# ---- a loop by itself ----


@native
def test_accepted_sockets_that_arrive_while_sessions_end_are_closed() -> None:
    notify_fd = os.eventfd(0)
    loop = LoopThread(notify_fd, 1)
    ours, theirs = socket.socketpair()
    os.write(loop.accepted_in(), struct.pack("i", theirs.detach()))
    loop.end_sessions()
    assert ours.recv(1) == b""
    assert loop.clients() == 0
    ours.close()
    del loop
    os.close(notify_fd)
