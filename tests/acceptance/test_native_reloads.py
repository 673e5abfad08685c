"""A reload is many steps of the supervisor, and between any two of them the native loop's threads serve."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator, Mapping

import pytest

from mcroute.policy import Plan, Pool, PoolRoute, Replicate, Server, State, compile_plan
from mcroute.testing import EmbeddedServer, MemcachedServer, find_memcached, free_port

from .carriers import HAS_NATIVE, runner
from .clients import Client

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")

if HAS_NATIVE:
    from mcroute.adapters import native_carrier, native_links
    from mcroute.adapters.native_proxy import Proxy

run = runner("native")


@contextlib.contextmanager
def asking_at_each_install(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, request: bytes
) -> Iterator[list[bytes]]:
    """What a client is answered who asks while a plan is installed and the supervisor has not gone on yet."""
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
            async with Proxy(plans[0], threads=2) as proxy:
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
            async with Proxy(both, threads=2) as proxy:
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


async def reload_together(proxy: Proxy, *plans: Plan) -> None:
    """The later ones are asked for while the first waits, as it does when servers are flushed."""
    async with proxy._routing._changing:
        reloads = []
        for plan in plans:
            reloads.append(asyncio.create_task(proxy.reload(plan)))
            await asyncio.sleep(0.05)
    await asyncio.gather(*reloads)


def test_late_news_of_a_server_that_left_is_not_about_who_has_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as stays, EmbeddedServer() as joins:
            both, one, other = (
                compile_plan(PoolRoute(Pool.of("main", [stays.address, *more])))
                for more in ([f"127.0.0.1:{free_port()}"], [], [joins.address])
            )
            async with Proxy(both, threads=2) as proxy:
                await proxy.start()
                admit = proxy.engine.admit

                def admit_slowly(plan: Plan) -> Mapping[str, int]:
                    ids = admit(plan)
                    if plan is other:
                        # Meanwhile the one that left is tried, and refuses.
                        time.sleep(0.6)
                    return ids

                monkeypatch.setattr(proxy.engine, "admit", admit_slowly)
                before = max(proxy.engine.server_ids().values())
                await reload_together(proxy, one, other)
                assert proxy.engine.server_ids()[joins.address] == before
                await asyncio.sleep(0.05)
                assert proxy.supervision.supervisor.state(before) is State.UP
                client = await Client.to(proxy)
                for i in range(50):
                    assert await client.ask(b"get k%d\r\n" % i) == b"END\r\n"
                await client.close()

    run(scenario())


def test_a_reload_does_not_forget_what_names_of_another_one_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:

            async def resolve(_: Server) -> list[tuple[str, int]]:
                return [("127.0.0.1", server.port)]

            monkeypatch.setattr(native_carrier, "resolve", resolve)
            monkeypatch.setattr(native_links, "resolve", resolve)
            plain = compile_plan(PoolRoute(Pool.of("main", [server.address])))
            named = compile_plan(PoolRoute(Pool("main", (Server("cache", "cache.example", 11211),))))
            async with Proxy(plain, threads=2) as proxy:
                await proxy.start()
                with asking_at_each_install(proxy, monkeypatch, b"get k\r\n") as replies:
                    await reload_together(proxy, named, plain)
                assert replies == [b"END\r\n"] * 2

    run(scenario())
