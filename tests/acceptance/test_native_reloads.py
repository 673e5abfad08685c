"""A reload is many steps of the supervisor, and between any two of them the native loop's threads serve."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator, Mapping

import pytest

from mcroute._engine.server_ids import Identity
from mcroute.drivers.asyncio.addresses import Resolver
from mcroute.policy import Plan, Pool, PoolRoute, Replicate, Server, State, Upkeep, compile_plan
from mcroute.runtime import routing
from mcroute.testing import EmbeddedServer, MemcachedServer, find_memcached, free_port

from .clients import Client, Scripted
from .drivers import HAS_NATIVE, runner

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")

if HAS_NATIVE:
    from mcroute.proxy.native_service import NativeService
    from mcroute.runtime.interfaces import Links

run = runner("native")


@contextlib.contextmanager
def asking_at_each_install(
    proxy: NativeService, monkeypatch: pytest.MonkeyPatch, request: bytes
) -> Iterator[list[bytes]]:
    """The answers to a client that asks at each install, before the supervisor goes on."""
    replies: list[bytes] = []
    install = proxy.engine.install

    def install_and_ask(plan: Plan) -> None:
        install(plan)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
            client.sendall(request + b"quit\r\n")
            with client.makefile("rb") as reader:
                replies.append(reader.read())

    with monkeypatch.context() as patch:
        patch.setattr(proxy.engine, "install", install_and_ask)
        yield replies


def test_a_server_that_joins_is_not_asked_before_it_has_links(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as a, EmbeddedServer() as b:
            plans = [compile_plan(PoolRoute(Pool.of("main", [server.address]))) for server in (a, b)]
            async with NativeService(plans[0], threads=2) as proxy:
                await proxy.start()
                with asking_at_each_install(proxy, monkeypatch, b"get k\r\n") as replies:
                    for i in (1, 0, 1):
                        await proxy.reload(plans[i])
                assert replies == [b"END\r\n"] * 3

    run(scenario())


@pytest.mark.acceptance
@pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH")
def test_a_server_that_comes_back_unflushed_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"k{i}" for i in range(20)]
    sets = {
        value: "".join(f"set {key} 0 0 3\r\n{value}\r\n" for key in keys).encode() for value in ("old", "new")
    }
    stored = b"STORED\r\n" * len(keys)

    async def scenario() -> None:
        # -F: no flush_all.
        with MemcachedServer("-F") as a, MemcachedServer() as b:
            both = compile_plan(Replicate(Pool.of("main", [a.address, b.address]), copies=2))
            one = compile_plan(PoolRoute(Pool.of("main", [b.address])))
            async with NativeService(both, threads=2) as proxy:
                await proxy.start()
                client = await Client.to(proxy)
                assert await client.ask(sets["old"], stored)
                await proxy.reload(one)
                assert await client.ask(sets["new"], stored)
                request = f"get {' '.join(keys)}\r\n".encode()
                with asking_at_each_install(proxy, monkeypatch, request) as replies:
                    await proxy.reload(both)
                assert [(reply.count(b"new"), reply.count(b"old")) for reply in replies] == [(len(keys), 0)]
                await client.close()

    run(scenario())


async def reload_together(proxy: NativeService, *plans: Plan) -> None:
    """The later ones are asked for while the first waits, as it does when servers are flushed."""
    async with proxy._routing._changing:
        reloads = []
        for plan in plans:
            reloads.append(asyncio.create_task(proxy.reload(plan)))
            await asyncio.sleep(0.05)
    await asyncio.gather(*reloads)


def test_late_events_of_removed_servers_do_not_count_for_servers_with_their_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retire = routing.Routing._retire

    async def scenario() -> None:
        may_retire = asyncio.Event()

        async def retire_later(owner: routing.Routing, number: int, links: Links) -> None:
            await may_retire.wait()
            await retire(owner, number, links)

        monkeypatch.setattr(routing.Routing, "_retire", retire_later)
        with EmbeddedServer() as stays, EmbeddedServer() as one, EmbeddedServer() as two:
            first, less, other = (
                compile_plan(PoolRoute(Pool.of("main", [stays.address, *more])))
                for more in (
                    [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"],
                    [],
                    [one.address, two.address],
                )
            )
            # As if their requests were answered at the last moment: their links are not closed yet.
            async with NativeService(first, threads=2, upkeep=Upkeep(retire_timeout_s=0)) as proxy:
                await proxy.start()
                admit = proxy.engine.admit

                def admit_slowly(plan: Plan, renamed: Mapping[Identity, Identity]) -> Mapping[str, int]:
                    ids = admit(plan, renamed)
                    if plan is other:
                        # Meanwhile the departed servers' links are retried, and refused.
                        time.sleep(0.6)
                    return ids

                monkeypatch.setattr(proxy.engine, "admit", admit_slowly)
                before = set(proxy.engine.server_ids().values())
                await proxy.reload(less)
                await proxy.reload(other)
                may_retire.set()
                assert set(proxy.engine.server_ids().values()) == before
                while not all(links.are_connected for links in proxy.supervision.links.values()):
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
                assert {proxy.supervision.supervisor.state(number) for number in before} == {State.UP}
                # The servers have their own events, and none of their first connections.
                assert proxy.supervision._missed_before_loss == {}
                client = await Client.to(proxy)
                for i in range(50):
                    assert await client.ask(b"get k%d\r\n" % i) == b"END\r\n"
                await client.close()

    run(scenario())


def test_a_server_that_comes_back_is_flushed_when_it_has_answered_also_by_the_next_reload() -> None:
    async def scenario() -> None:
        async with Scripted.running() as leaves, Scripted.running() as stays:
            here, away = (
                compile_plan(server.route(reply_timeout_s=20, deadline_s=30)) for server in (leaves, stays)
            )
            async with NativeService(here, threads=2) as proxy:
                await proxy.start()
                client = await Client.to(proxy)
                client.writer.write(b"set k 0 0 1\r\nx\r\n")
                writer, request = await leaves.asked()
                assert request == b"set k 0 0 1\r\nx\r\n"
                reloading = asyncio.create_task(reload_together(proxy, away, here))
                await asyncio.sleep(0.4)
                assert leaves.is_idle
                writer.write(b"STORED\r\n")
                assert await client.reader.readline() == b"STORED\r\n"
                writer, request = await leaves.asked()
                assert request == b"flush_all\r\n"
                writer.write(b"OK\r\n")
                await reloading
                await client.close()

    run(scenario())


def test_a_reload_keeps_the_addresses_that_another_reload_has_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:

            async def resolve(_: Server) -> list[tuple[str, int]]:
                return [("127.0.0.1", server.port)]

            monkeypatch.setattr(Resolver, "resolve", staticmethod(resolve))
            plain = compile_plan(PoolRoute(Pool.of("main", [server.address])))
            named = compile_plan(PoolRoute(Pool("main", (Server("cache", "cache.example", 11211),))))
            async with NativeService(plain, threads=2) as proxy:
                await proxy.start()
                with asking_at_each_install(proxy, monkeypatch, b"get k\r\n") as replies:
                    await reload_together(proxy, named, plain)
                assert replies == [b"END\r\n"] * 2

    run(scenario())
