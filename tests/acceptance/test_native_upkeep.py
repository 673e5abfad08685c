"""The native loop beside Python in one process: descriptors, returns, events, names, shared servers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from mcroute.drivers.asyncio.addresses import LoopAddress, Resolver
from mcroute.policy import (
    HealthSettings,
    Outcome,
    Pool,
    PoolRoute,
    Replicate,
    Server,
    State,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.steps import Ask
from mcroute.testing import EmbeddedServer, free_port

from .clients import RESET_ON_CLOSE, Client, Scripted
from .drivers import HAS_NATIVE, runner

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")

if HAS_NATIVE:
    from mcroute.native import Proxy
    from mcroute.proxy.native_service import NativeService

run = runner("native")

SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=0.05, retry_cap_s=0.1), refence_s=0.05)


def route(*servers: EmbeddedServer) -> PoolRoute:
    return PoolRoute(Pool.of("main", [server.address for server in servers]))


def watched() -> int:
    """How many descriptors this process's epoll sets have, without those that earlier tests have left."""
    gc.collect()
    sets = [
        fd.name
        for fd in Path("/proc/self/fd").iterdir()
        if os.path.islink(fd) and "eventpoll" in os.readlink(fd)
    ]
    return sum(Path("/proc/self/fdinfo", name).read_text().count("tfd:") for name in sets)


@contextlib.contextmanager
def held_open(peer: socket.socket) -> Iterator[None]:
    """Keeps the other end of `peer` open, as a child does between its fork and its exec."""
    with contextlib.ExitStack() as stack:
        for entry in Path("/proc/self/fd").iterdir():
            if os.path.islink(entry) and "socket:" in os.readlink(entry):
                held = stack.enter_context(socket.socket(fileno=os.dup(int(entry.name))))
                with contextlib.suppress(OSError):
                    if held.getpeername() == peer.getsockname():
                        break
                held.close()
        yield


def test_a_closed_connection_that_a_child_holds_open_is_not_watched() -> None:
    """Epoll reported the socket without end, and the loop read its freed endpoint."""

    async def scenario() -> None:
        with EmbeddedServer() as server:
            async with NativeService(compile_plan(route(server)), threads=1) as proxy:
                await proxy.start()
                (thread,) = proxy.driver.threads
                before = watched()
                client = socket.create_connection(("127.0.0.1", proxy.port))
                client.sendall(b"version\r\n")
                assert client.recv(100).startswith(b"VERSION")
                with held_open(client):
                    assert watched() == before + 1
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                    client.close()
                    while thread.clients():
                        await asyncio.sleep(0.005)
                    assert watched() == before

    run(scenario())


def test_a_server_returns_while_writes_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the server serves, it misses each write; these misses ejected it again and again."""

    async def scenario() -> None:
        with EmbeddedServer() as server, EmbeddedServer() as other:
            pool = Pool.of("main", [server.address, other.address])
            plan = compile_plan(Replicate(pool))
            async with NativeService(plan, threads=2, settings=SETTINGS, rng=Random(1)) as proxy:
                await proxy.start()
                number = proxy.engine.server_ids()[server.address]
                look = proxy.engine.missed_writes
                with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as writer:

                    def miss_another(of: int) -> int:
                        missed = look(of)
                        writer.sendall(b"set k 0 0 1\r\nx\r\n")
                        assert writer.recv(100) == b"STORED\r\n"
                        return missed

                    client = await Client.to(proxy)
                    server.kill()
                    while proxy.supervision.supervisor.state(number) is State.UP:
                        assert await client.ask(b"set k 0 0 1\r\nx\r\n") == b"STORED\r\n"
                    monkeypatch.setattr(proxy.engine, "missed_writes", miss_another)
                    server.restart()
                    while proxy.engine.server_state(number) != State.UP:
                        await asyncio.sleep(0.005)
                    monkeypatch.undo()
                    # The server serves, and stays in service.
                    for _ in range(100):
                        assert await client.ask(b"set k 0 0 1\r\nx\r\n") == b"STORED\r\n"
                    assert proxy.supervision.supervisor.state(number) is State.UP
                    assert proxy.engine.server_state(number) == State.UP
                    await client.close()

    run(scenario())


def test_an_event_that_raises_does_not_stop_later_events(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The notify_fd was read, and the threads waited for an acknowledgement before they wrote to it again."""

    async def scenario() -> None:
        with EmbeddedServer() as server:
            async with NativeService(compile_plan(route(server)), threads=2, settings=SETTINGS) as proxy:

                def fail(*_: object) -> None:
                    raise KeyError("a mistake")

                await proxy.start()
                number = proxy.engine.server_ids()[server.address]
                monkeypatch.setattr(proxy.supervision, "link_lost", fail)
                monkeypatch.setattr(proxy.driver, "on_stats", fail)
                clients = [await Client.to(proxy) for _ in range(8)]
                for client in clients:
                    assert await client.ask(b"stats\r\n") == b"SERVER_ERROR stats failed\r\n"
                server.kill()
                while "a mistake" not in caplog.text or proxy.driver.threads[0].events():
                    await asyncio.sleep(0.005)
                server.restart()
                while not proxy._routing.links[number].are_connected:
                    await asyncio.sleep(0.005)
                monkeypatch.undo()
                for client in clients:
                    assert (await client.ask(b"stats\r\n", b"END\r\n")).startswith(b"STAT ")
                    await client.close()

    run(scenario())


def test_the_name_of_a_removed_server_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late event of a failed connect looked the name up again, under an id that may be another server's."""

    async def scenario() -> None:
        with EmbeddedServer() as server:
            named = Server.parse(f"localhost:{free_port()}", name="left")
            both = Pool("main", (Server.parse(server.address), named))
            async with NativeService(compile_plan(PoolRoute(both)), threads=1, settings=SETTINGS) as proxy:
                await proxy.start()
                number = proxy.engine.server_ids()["left"]
                links = proxy._routing.links[number]
                await proxy.reload(compile_plan(route(server)))
                while number in proxy._routing.links:
                    await asyncio.sleep(0.005)
                asked: list[Server] = []

                async def resolve(server: Server) -> list[LoopAddress]:
                    asked.append(server)
                    return []

                monkeypatch.setattr(Resolver, "resolve", staticmethod(resolve))
                links.look_up_again()
                await asyncio.sleep(0.01)
                assert not asked

    run(scenario())


@dataclass(frozen=True)
class Meddler:
    """A route that stops its own proxy."""

    children: tuple[PoolRoute]
    proxies: list[Proxy]

    def steps(self, request: object) -> Generator[object, object, object]:
        try:
            self.proxies[0].stop()
        except RuntimeError:
            return Outcome.MISS
        return (yield Ask(0))


def test_a_proxy_does_not_wait_for_itself() -> None:
    proxies: list[Proxy] = []
    with EmbeddedServer() as server, Proxy(Meddler((route(server),), proxies), threads=1) as proxy:
        proxies.append(proxy)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
            client.sendall(b"get k\r\n")
            assert client.recv(100) == b"END\r\n"


def test_a_write_past_its_deadline_holds_its_key_until_its_server_answers() -> None:
    """The client got a timeout, and may write on another connection: the old write must not follow that."""

    async def scenario() -> None:
        async with Scripted.running() as server:
            plan = compile_plan(server.route(reply_timeout_s=20, deadline_s=0.1))
            async with NativeService(plan, threads=2) as proxy:
                await proxy.start()
                clients = [await Client.to(proxy)]
                while not all(thread.clients() for thread in proxy.driver.threads):
                    clients.append(await Client.to(proxy))
                    await clients[-1].ask(b"version\r\n")
                first, other = clients[0], clients[-1]
                assert (await first.ask(b"set k 0 0 1\r\nx\r\n")).startswith(b"SERVER_ERROR timeout")
                writer, request = await server.asked()
                assert request.startswith(b"set k ")
                assert (await other.ask(b"delete k\r\n")).startswith(b"SERVER_ERROR ")
                assert server.is_idle
                writer.write(b"STORED\r\n")
                while (
                    proxy.driver.threads[0].links([0])[0][0].unanswered
                    + proxy.driver.threads[1].links([0])[0][0].unanswered
                ):
                    await asyncio.sleep(0.005)
                other.writer.write(b"delete k\r\n")
                writer, _ = await server.asked()
                writer.write(b"DELETED\r\n")
                assert await other.reader.readline() == b"DELETED\r\n"
                for client in clients:
                    await client.close()

    run(scenario())
