"""The native loop's threads: they need no interpreter, divide the clients, and agree about the servers."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcroute.policy import ByPrefix, Pool, PoolRoute, Replicate, Server, compile_plan
from mcroute.policy.steps import Ask, Wait
from mcroute.proxy import listening

from .clients import Client, Outside, Scripted
from .drivers import HAS_NATIVE, runner

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")

if HAS_NATIVE:
    from mcroute.proxy.native_service import NativeService

run = runner("native")


@dataclass(frozen=True)
class Slow:
    """Waits, then asks."""

    children: tuple[PoolRoute]
    pause_s: float

    def steps(self, request: object) -> Generator[object, object, object]:
        yield Wait(self.pause_s)
        return (yield Ask(0))


def hold_the_interpreter(seconds: float) -> None:
    ctypes.PyDLL(None).usleep(int(1e6 * seconds))


def test_requests_go_on_while_the_interpreter_is_held(tmp_path: Path) -> None:
    """Those of a route in Python end at their deadline, which needs no interpreter either."""

    async def scenario(outside: Outside) -> None:
        server = Server.parse(f"127.0.0.1:{outside.port}")
        pool = PoolRoute(Pool("main", (server,), reply_timeout_s=0.1, deadline_s=0.1))
        route = ByPrefix({"python:": Slow((pool,), 10)}, default=pool)
        async with NativeService(compile_plan(route), threads=1) as proxy:
            await proxy.start()
            outside.ask(proxy.port)
            await outside.goes_on()
            for _ in range(2):
                before = outside.replies()
                hold_the_interpreter(0.5)
                plain, python = (now - then for now, then in zip(outside.replies(), before, strict=True))
                # Each would be at most one if the thread had to wait for the interpreter.
                assert plain > 20
                assert python > 1
                await outside.goes_on()
            assert proxy.engine.snapshot().counters["timeouts"] > 2

    with Outside.running(tmp_path / "counts", "plain", "python:k") as outside:
        run(scenario(outside))


def test_requests_go_on_while_a_route_in_python_waits() -> None:
    async def scenario() -> None:
        async with Scripted.running() as server:
            route = ByPrefix({"slow:": Slow((server.route("slow"),), 0.1)}, default=server.route())
            async with NativeService(compile_plan(route), threads=1) as proxy:
                await proxy.start()
                slow, quick = await Client.to(proxy), await Client.to(proxy)
                slow.writer.write(b"get slow:k\r\n")
                quick.writer.write(b"get k\r\n")
                for client, asked in ((quick, b"get k\r\n"), (slow, b"get slow:k\r\n")):
                    writer, line = await server.asked()
                    assert line == asked
                    writer.write(b"END\r\n")
                    assert await client.reader.readline() == b"END\r\n"
                await slow.close()
                await quick.close()

    run(scenario())


def test_a_route_in_python_that_is_late_ends_at_its_deadline() -> None:
    async def scenario() -> None:
        async with Scripted.running() as server:
            impatient = server.route(reply_timeout_s=0.1, deadline_s=0.1)
            async with NativeService(compile_plan(Slow((impatient,), 100.0)), threads=2) as proxy:
                await proxy.start()
                client = await Client.to(proxy)
                assert await client.ask(b"get k\r\n") == b"SERVER_ERROR timeout\r\n"
                assert server.is_idle
                await client.close()

    run(scenario())


# ---- who serves which client ----


def where(proxy: NativeService) -> list[int]:
    """Open sessions by thread."""
    return [thread.clients() for thread in proxy.driver.threads]


@pytest.mark.parametrize("way", ["path", "port"])
def test_clients_are_divided_where_the_system_does_not_do_it(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(listening.socket, "SO_REUSEPORT")
    path = str(tmp_path / "socket") if way == "path" else ""

    async def scenario() -> None:
        async with (
            Scripted.running() as server,
            NativeService(compile_plan(server.route()), threads=3) as proxy,
        ):
            await proxy.start(path=path)
            clients = [await (Client.on_path(path) if path else Client.to(proxy)) for _ in range(9)]
            for client in clients:
                assert (await client.ask(b"version\r\n")).startswith(b"VERSION ")
            assert where(proxy) == [3, 3, 3]
            for client in clients:
                await client.close()
            while sum(where(proxy)):
                await asyncio.sleep(0.01)

    run(scenario())


def test_clients_of_every_address_of_a_host_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(listening.socket, "SO_REUSEPORT")
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{i}", 0)) for i in (1, 2, 3)]
    monkeypatch.setattr(listening.socket, "getaddrinfo", lambda *_, **__: found)

    async def scenario() -> None:
        async with (
            Scripted.running() as server,
            NativeService(compile_plan(server.route()), threads=2) as proxy,
        ):
            await proxy.start("any")
            for i in (1, 2, 3) * 2:
                client = Client(*await asyncio.open_connection(f"127.0.0.{i}", proxy.port))
                assert (await client.ask(b"version\r\n")).startswith(b"VERSION ")
                await client.close()
            assert [t.snapshot().counters["sessions_opened"] for t in proxy.driver.threads] == [3, 3]

    run(scenario())


# ---- threads that share servers ----


@contextlib.asynccontextmanager
async def two_clients_on_two_threads(proxy: NativeService, path: str) -> AsyncIterator[list[Client]]:
    await proxy.start(path=path)
    clients = [await Client.on_path(path) for _ in range(2)]
    for client in clients:
        await client.ask(b"version\r\n")
    assert where(proxy) == [1, 1]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


def test_a_late_write_of_one_thread_is_not_overtaken_by_another(tmp_path: Path) -> None:
    """It may be executed at any time: until it is answered, the other thread writes nothing under its key."""

    async def scenario() -> None:
        async with Scripted.running() as server:
            route = server.route(reply_timeout_s=0.2, deadline_s=0.4)
            async with (
                NativeService(compile_plan(route), threads=2) as proxy,
                two_clients_on_two_threads(proxy, str(tmp_path / "socket")) as (one, other),
            ):
                one.writer.write(b"set k 0 0 1\r\n1\r\n")
                writer, line = await server.asked()
                assert line == b"set k 0 0 1\r\n1\r\n"
                assert (await one.reader.readline()).startswith(b"SERVER_ERROR timeout")
                for request in (b"set k 0 0 1\r\n2\r\n", b"delete k\r\n"):
                    assert (await other.ask(request)).startswith(b"SERVER_ERROR ")
                assert server.is_idle
                other.writer.write(b"get other\r\n")
                others_link, line = await server.asked()
                assert line == b"get other\r\n"
                others_link.write(b"END\r\n")
                assert await other.reader.readline() == b"END\r\n"
                # The thread's own link is in order: its next request waits behind the write.
                one.writer.write(b"get k\r\n")
                assert (await server.asked())[1] == b"get k\r\n"
                writer.write(b"STORED\r\nVALUE k 0 1\r\n1\r\nEND\r\n")
                assert await one.reader.readuntil(b"END\r\n") == b"VALUE k 0 1\r\n1\r\nEND\r\n"
                other.writer.write(b"delete k\r\n")
                writer, line = await server.asked()
                assert line == b"delete k\r\n"
                writer.write(b"DELETED\r\n")
                assert await other.reader.readline() == b"DELETED\r\n"

    run(scenario())


def test_a_copy_that_missed_a_write_of_one_thread_serves_no_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Scripted.running() as a, Scripted.running() as b:
            pool = Pool("main", (Server.parse(a.address), Server.parse(b.address)))
            first, second = ((a, b)[i] for i in pool.ring().owners(b"k", 2))
            async with (
                NativeService(compile_plan(Replicate(pool, copies=2)), threads=2) as proxy,
                two_clients_on_two_threads(proxy, str(tmp_path / "socket")) as (one, other),
            ):
                one.writer.write(b"set k 0 0 1\r\n1\r\n")
                writer, _ = await first.asked()
                writer.write(b"SERVER_ERROR out of memory\r\n")
                writer, _ = await second.asked()
                writer.write(b"STORED\r\n")
                assert await one.reader.readline() == b"STORED\r\n"
                other.writer.write(b"get k\r\n")
                writer, line = await second.asked()
                assert line == b"get k\r\n"
                writer.write(b"VALUE k 0 1\r\n1\r\nEND\r\n")
                assert await other.reader.readuntil(b"END\r\n") == b"VALUE k 0 1\r\n1\r\nEND\r\n"

    run(scenario())


def test_counters_of_all_threads_are_summed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Scripted.running() as server,
            NativeService(compile_plan(server.route()), threads=2) as proxy,
            two_clients_on_two_threads(proxy, str(tmp_path / "socket")) as clients,
        ):
            for client in clients:
                for _ in range(3):
                    client.writer.write(b"get k\r\n")
                    (await server.asked())[0].write(b"END\r\n")
                    assert await client.reader.readline() == b"END\r\n"
            for client in clients:
                rows = await client.stats()
                assert (rows["threads"], rows["curr_connections"], rows["total_connections"]) == (
                    "2",
                    "2",
                    "2",
                )
                assert (rows["cmd_get"], rows["get_misses"]) == ("6", "6")
                name = server.address
                assert (await client.stats("servers"))[f"{name}:requests"] == "6"
                assert (await client.stats("results"))["get:miss"] == "6"
                mcroute = await client.stats("mcroute")
                assert any(value == "6" for value in mcroute.values())
            snapshot = proxy.observe().snapshot
            assert [t.snapshot().servers[name].counters["requests"] for t in proxy.driver.threads] == [3, 3]
            assert snapshot.servers[name].counters["requests"] == 6

    run(scenario())
