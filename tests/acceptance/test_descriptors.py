"""A bound of clients: one more waits, whatever carries the bytes, until another one has left."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcroute.errors import ConfigError
from mcroute.policy import Pool, PoolRoute, Server, compile_plan
from mcroute.proxy.descriptors import Descriptors
from mcroute.testing import EmbeddedServer

from .clients import Client
from .drivers import NATIVE_THREADS, Run, start_proxy

CLIENTS = 4


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


def route(*servers: EmbeddedServer) -> PoolRoute:
    """With long timeouts: how busy the machine is does not matter here."""
    members = tuple(Server.parse(server.address) for server in servers)
    return PoolRoute(Pool("main", members, connect_timeout_s=10, reply_timeout_s=20, deadline_s=30))


def room(driver: str, wanted: PoolRoute, clients: int) -> Descriptors:
    """So many that this route has room for so many clients."""
    threads = NATIVE_THREADS if driver == "native" else 0
    return Descriptors(
        10_000 - Descriptors(10_000, 0, threads).clients_max(compile_plan(wanted)) + clients, 0, threads
    )


async def connected(port: int, path: str) -> Client:
    if path:
        return Client(*await asyncio.open_unix_connection(path))
    return Client(*await asyncio.open_connection("127.0.0.1", port))


@pytest.mark.parametrize(
    "is_unix",
    [False, pytest.param(True, marks=pytest.mark.skipif(sys.platform == "win32", reason="no unix sockets"))],
)
def test_more_clients_than_there_is_room_for_wait_until_others_close(
    run: Run,
    driver: str,
    server: EmbeddedServer,
    tmp_path: Path,
    is_unix: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        path = str(tmp_path / "proxy") if is_unix else ""
        descriptors = room(driver, route(server), CLIENTS)
        async with await start_proxy(driver, route(server), path=path, descriptors=descriptors) as proxy:
            clients = [await connected(proxy.port, path) for _ in range(3 * CLIENTS)]
            for client in clients:
                client.writer.write(b"get k\r\n")
            waiting = {asyncio.create_task(c.reader.readuntil(b"END\r\n")): c for c in clients}
            for _ in range(2 * CLIENTS + 1):
                there = []
                while len(there) < min(CLIENTS, len(waiting)):
                    done, _ = await asyncio.wait(waiting.keys(), return_when=asyncio.FIRST_COMPLETED)
                    there += [waiting.pop(task) for task in done]
                    if not waiting:
                        break
                assert len(there) <= CLIENTS
                if len(waiting) == 2 * CLIENTS:
                    # As many clients as allowed are served, and no more while these stay.
                    done, _ = await asyncio.wait(waiting.keys(), timeout=0.5)
                    assert not done
                    stats = await there[0].stats()
                    assert stats["max_connections"] == stats["curr_connections"] == str(CLIENTS)
                    while "clients have to wait: at most 4 are connected" not in caplog.text:
                        await asyncio.sleep(0.05)
                for client in there:
                    await client.close()
                if not waiting:
                    break
            assert not waiting

    with caplog.at_level(logging.WARNING, "mcroute"):
        run(scenario())


def test_servers_of_a_reload_take_their_descriptors_from_clients_that_will_come(
    run: Run, driver: str, server: EmbeddedServer
) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as second, EmbeddedServer() as third:
            descriptors = room(driver, route(server, second), CLIENTS)
            async with await start_proxy(driver, route(server), descriptors=descriptors) as proxy:
                client = await Client.to(proxy)
                before = int((await client.stats())["max_connections"])
                assert before > CLIENTS
                await proxy.reload(compile_plan(route(server, second)))
                assert (await client.stats())["max_connections"] == str(CLIENTS)
                with pytest.raises(ConfigError, match="ulimit -n"):
                    await proxy.reload(compile_plan(route(server, second, third)))
                stats = await client.stats()
                assert (stats["max_connections"], stats["servers"]) == (str(CLIENTS), "2")
                await client.close()

    run(scenario())


def test_without_descriptors_there_is_no_bound(run: Run, driver: str, server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with await start_proxy(driver, route(server)) as proxy:
            client = await Client.to(proxy)
            assert "max_connections" not in await client.stats()
            await client.close()

    run(scenario())
