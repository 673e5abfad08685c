"""Connections that a firewall has lost: no byte comes back on them, and new ones work at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcroute.policy import PoolRoute

from .clients import Client, Scripted
from .drivers import DRIVERS, runner, start_proxy

# The engine closes a link when a reply is overdue for so many seconds.
ORPHAN_AGE_S = 10.0


class Forgetful(Scripted):
    """Answers gets; once it has forgotten its connections, it answers only on later ones."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: set[asyncio.StreamWriter] = set()

    def forget(self) -> None:
        self.forgotten.update(self.connections)

    async def answer(self) -> None:
        while True:
            writer, request = await self.asked()
            if writer not in self.forgotten:
                writer.write(b"END\r\n" if request.startswith(b"get ") else b"ERROR\r\n")


@contextlib.asynccontextmanager
async def forgetful() -> AsyncIterator[Forgetful]:
    async with Forgetful.running() as server:
        assert isinstance(server, Forgetful)
        answering = asyncio.create_task(server.answer())
        try:
            yield server
        finally:
            answering.cancel()


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_silent_link_is_replaced_when_the_server_answers_on_another_connection(driver: str) -> None:
    async def scenario() -> None:
        async with forgetful() as server:
            route = PoolRoute(server.pool(reply_timeout_s=0.2, deadline_s=0.4))
            proxy = await start_proxy(driver, route)
            client = await Client.to(proxy)
            assert await client.ask(b"get k\r\n") == b"END\r\n"
            server.forget()
            began = asyncio.get_running_loop().time()
            while await client.ask(b"get k\r\n") != b"END\r\n":
                # It is the last server of its pool, and stays in service: only a new link helps.
                assert asyncio.get_running_loop().time() < began + ORPHAN_AGE_S
            await client.close()
            await proxy.close()

    runner(driver)(scenario())


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads the system's table of connections")
@pytest.mark.parametrize("driver", DRIVERS)
def test_the_system_watches_idle_links(driver: str) -> None:
    """On an idle link the timer of keepalive is due within seconds; by default that takes hours."""

    async def scenario() -> None:
        async with forgetful() as server:
            proxy = await start_proxy(driver, server.route())
            client = await Client.to(proxy)
            assert await client.ask(b"get k\r\n") == b"END\r\n"
            port = int(server.address.rpartition(":")[2])
            assert 0 < min(_keepalives_due(port)) <= 5
            await client.close()
            await proxy.close()

    runner(driver)(scenario())


def _keepalives_due(port: int) -> list[float]:
    """Seconds until the keepalive timer of each connection to this port of 127.0.0.1."""
    far_end = f"{socket.htonl(0x7F000001):08X}:{port:04X}"
    due = []
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state, _, timer, *_ = row.split()
        kind, _, ticks = timer.partition(":")
        if remote == far_end and state == "01" and kind == "02":
            due.append(int(ticks, 16) / 100)
    return due
