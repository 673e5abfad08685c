"""Beginning and end of a proxy on the native loop: addresses, drain, forks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcroute.policy import Pool, PoolRoute, Server, compile_plan
from mcroute.testing import EmbeddedServer

from .clients import Client, Outside, Scripted
from .drivers import HAS_NATIVE, Run, runner, start_proxy

native = pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")

if HAS_NATIVE:
    from mcroute.proxy.native_service import NativeService

run_native = runner("native")


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


def plan_of(server: EmbeddedServer) -> object:
    return compile_plan(PoolRoute(Pool.of("main", [server.address])))


# ---- the beginning ----


@native
def test_a_thread_that_cannot_be_started_is_an_error(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may have as many as it is allowed to."""
    start = threading.Thread.start

    def start_one(thread: threading.Thread) -> None:
        if thread.name == "mcroute-1":
            raise RuntimeError("can't start new thread")
        start(thread)

    async def scenario() -> None:
        proxy = NativeService(plan_of(server), threads=2)
        monkeypatch.setattr(threading.Thread, "start", start_one)
        with pytest.raises(RuntimeError, match="new thread"):
            await proxy.start()
        assert "mcroute-0" not in {thread.name for thread in threading.enumerate()}

    run_native(scenario())


# ---- the end ----


def test_closing_waits_for_requests_in_flight(run: Run, driver: str) -> None:
    async def scenario() -> None:
        async with Scripted.running() as server:
            proxy = await start_proxy(driver, server.route(reply_timeout_s=20, deadline_s=30))
            busy, idle, middle = [await Client.to(proxy) for _ in range(3)]
            busy.writer.write(b"get a\r\nget b\r\n")
            middle.writer.write(b"set k 0 0 10\r\nabc")
            (writer, _), _ = await server.asked(), await server.asked()
            closing = asyncio.create_task(proxy.close(20))
            # A client without pending replies is closed at once, also in the middle of a request.
            assert await idle.reader.read() == await middle.reader.read() == b""
            with pytest.raises(OSError):
                await Client.to(proxy)
            assert not closing.done()
            writer.write(b"END\r\nVALUE b 0 1\r\nx\r\nEND\r\n")
            assert await busy.reader.read() == b"END\r\nVALUE b 0 1\r\nx\r\nEND\r\n"
            await closing
            assert server.is_idle
            for client in (busy, idle, middle):
                await client.close()

    run(scenario())


def test_closing_ends_at_its_limit(run: Run, driver: str) -> None:
    async def scenario() -> None:
        async with Scripted.running() as server:
            proxy = await start_proxy(driver, server.route(reply_timeout_s=40, deadline_s=60))
            client = await Client.to(proxy)
            client.writer.write(b"get a\r\n")
            await server.asked()
            await proxy.close(0.1)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.reader.readexactly(1)
            await client.close()
            # Once more, and while closing: harmless.
            await proxy.close()
            await asyncio.gather(proxy.close(), proxy.close())

    run(scenario())


def test_closing_reaches_clients_that_have_just_come(run: Run, driver: str, server: EmbeddedServer) -> None:
    async def scenario() -> None:
        proxy = await start_proxy(driver, PoolRoute(Pool.of("main", [server.address])))
        clients = [await Client.to(proxy) for _ in range(300)]
        await proxy.close(20)
        for client in clients:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.reader.readexactly(1)
            await client.close()

    run(scenario())


@native
def test_closing_reaches_accepted_sockets_of_other_loops(server: EmbeddedServer, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def scenario() -> None:
        proxy = NativeService(plan_of(server), threads=3)
        await proxy.start(path=path)
        clients = [await Client.on_path(path) for _ in range(300)]
        await proxy.close(20)
        assert [thread.clients() for thread in proxy.driver.threads] == [0, 0, 0]
        for client in clients:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.reader.readexactly(1)
            await client.close()

    run_native(scenario())


@native
def test_a_proxy_that_was_never_started_may_be_closed_or_collected(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        await NativeService(plan_of(server), threads=2).close()
        proxy = NativeService(plan_of(server), threads=2)
        del proxy

    run_native(scenario())


# ---- addresses ----


@native
@pytest.mark.parametrize("threads", [1, 2])
def test_a_port_that_is_taken_is_not_shared(server: EmbeddedServer, threads: int) -> None:
    async def scenario() -> None:
        async with NativeService(plan_of(server), threads=2) as first:
            await first.start()
            with pytest.raises(OSError):
                await NativeService(plan_of(server), threads=threads).start(port=first.port)
            with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError):
                await NativeService(plan_of(server), threads=threads).start(port=other.getsockname()[1])
            client = await Client.to(first)
            assert await client.get("k") is None
            await client.close()
        async with NativeService(plan_of(server), threads=threads) as second:
            await second.start(port=first.port)

    run_native(scenario())


@native
def test_a_path_that_is_taken_is_not_shared_and_a_dead_one_is_replaced(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    path = tmp_path / "socket"

    async def scenario() -> None:
        async with NativeService(plan_of(server), threads=2) as first:
            await first.start(path=str(path))
            with pytest.raises(OSError):
                await NativeService(plan_of(server), threads=2).start(path=str(path))
            client = await Client.on_path(str(path))
            assert await client.get("k") is None
            await client.close()
        assert not path.exists()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        async with NativeService(plan_of(server), threads=2) as second:
            await second.start(path=str(path))
            client = await Client.on_path(str(path))
            assert await client.get("k") is None
            await client.close()
        path.write_text("mine")
        with pytest.raises(OSError):
            await NativeService(plan_of(server), threads=2).start(path=str(path))
        assert path.read_text() == "mine"

    run_native(scenario())


def test_a_server_on_a_unix_socket(run: Run, driver: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Scripted.running(str(tmp_path / "server")) as server:
            proxy = await start_proxy(driver, server.route())
            client = await Client.to(proxy)
            for size in (1, 200_000):
                client.writer.write(b"set k 0 0 %d\r\n%s\r\n" % (size, b"x" * size))
                writer, line = await server.asked()
                assert line == b"set k 0 0 %d\r\n%s\r\n" % (size, b"x" * size)
                writer.write(b"STORED\r\n")
                assert await client.reader.readline() == b"STORED\r\n"
            # A lost connection without a name is made again.
            known = len(server.connections)
            writer.transport.abort()
            while len(server.connections) <= known:
                await asyncio.sleep(0.01)
            await client.close()
            await proxy.close()

    run(scenario())


# ---- forks ----


def sockets() -> set[str]:
    """The sockets that this process has open, as the system names them."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
    return {name for name in found if name.startswith("socket:")}


async def settled_sockets() -> set[str]:
    """The sockets that stay: after a connect, short control connections ask the server for its stats."""
    found: set[str] = set()
    while (now := sockets()) != found:
        found = now
        await asyncio.sleep(0.2)
    return found


@native
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking beside threads: what this is about
@pytest.mark.parametrize("way", ["port", "path"])
def test_a_forked_child_holds_none_of_the_sockets(tmp_path: Path, way: str) -> None:
    path = str(tmp_path / "socket") if way == "path" else ""

    async def scenario(outside: Outside) -> None:
        before = sockets()
        server = Server.parse(f"127.0.0.1:{outside.port}")
        proxy = NativeService(compile_plan(PoolRoute(Pool("main", (server,)))), threads=2)
        await proxy.start(path=path, metrics=("127.0.0.1", 0))
        ours = await settled_sockets() - before
        assert len(ours) >= 4  # two links, what listens, metrics
        client = await (Client.on_path(path) if path else Client.to(proxy))
        assert await client.get("k") is None
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, b"%d" % len(sockets() & ours))
            signal.pause()
        try:
            assert os.read(reader, 10) == b"0"
            assert await client.ask(b"set k 0 0 1\r\n1\r\n") == b"STORED\r\n"
            await proxy.close()
            # Not if the child had the connection too.
            assert await client.reader.read() == b""
            await client.close()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            os.close(writer)

    with Outside.running(tmp_path / "counts", "k") as outside:
        run_native(scenario(outside))


@native
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_cannot_harm_its_parents_proxy(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with NativeService(plan_of(server), threads=2) as proxy:
            await proxy.start()
            child = os.fork()
            if child == 0:
                held = proxy.driver
                for use in (held.close, proxy.observe, proxy.engine.snapshot, held.take_events, held.detach):
                    with contextlib.suppress(RuntimeError):
                        use()
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            client = await Client.to(proxy)
            assert await client.get("k") is None
            await client.close()

    run_native(scenario())
