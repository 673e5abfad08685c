"""A process at a server's address that is no memcached is logged by name, and gets no requests."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mcroute.policy import Pool, PoolRoute, State
from mcroute.testing import EmbeddedServer, MemcachedServer
from tests.acceptance.drivers import DRIVERS, runner, start_proxy

pytestmark = pytest.mark.parametrize("driver", DRIVERS)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def test_a_stranger_is_logged_and_gets_no_requests(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    visits = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        await reader.readline()
        writer.write(b"220 mail.example ready\r\n")
        await reader.read()
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as stranger:
            port = stranger.sockets[0].getsockname()[1]
            proxy = await start_proxy(driver, PoolRoute(Pool.of("main", [f"127.0.0.1:{port}"])), threads=1)
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"get k\r\n")
            assert (await reader.readline()).startswith(b"SERVER_ERROR ")
            await asyncio.sleep(0.5)
            writer.close()
            await proxy.close(0.1)

    runner(driver)(scenario())
    assert "is no memcached: it answers b'220 mail.example ready' to version" in caplog.text
    # Pauses grow from 25 ms on; without them it is hundreds.
    assert visits < 20
    # Once, not at each attempt.
    assert caplog.text.count("is no memcached") == 1


@contextlib.asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[str]:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_requests_are_not_sent_before_the_greeting_has_come(driver: str) -> None:
    got: list[bytes] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1000):
                got.append(data)
        writer.close()

    async def scenario() -> None:
        async with listening(say_nothing) as address:
            pool = Pool.of("main", [address])
            proxy = await start_proxy(driver, PoolRoute(pool), threads=1)
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            for _ in range(20):
                writer.write(b"set secret 0 0 5\r\nvalue\r\n")
                assert (await reader.readline()).startswith(b"SERVER_ERROR ")
                await asyncio.sleep(0.05)
            writer.close()
            await proxy.close(0.1)

    runner(driver)(scenario())
    assert set(got) == {b"version\r\n"}


async def out_from_the_start(driver: str, address: str, other: str) -> None:
    proxy = await start_proxy(driver, PoolRoute(Pool.of("main", [address, other])))
    states = proxy.supervision.supervisor.servers(asyncio.get_running_loop().time())
    assert states[address].state is not State.UP
    assert states[other].state is State.UP
    await asyncio.sleep(1.5)
    await proxy.close(0.1)


def lines_about(address: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if address in record.getMessage()]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "its connection limit is reached: it answers b'ERROR Too many open connections' to version"),
        # The server accepts no more connections; the system queues one or two.
        (
            ["-o", "no_maxconns_fast"],
            "it (takes connections and answers nothing in time|cannot be .* timed out)",
        ),
    ],
)
def test_a_full_server_is_ejected_without_traffic(
    driver: str, options: list[str], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        MemcachedServer("-c", "30", "-t", "1", *options) as server,
        MemcachedServer() as other,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(40):
            hog = stack.enter_context(socket.socket())
            hog.settimeout(0.05)
            with contextlib.suppress(OSError):
                hog.connect((server.host, server.port))
                hog.sendall(b"version\r\n")
                hog.recv(100)
        runner(driver)(out_from_the_start(driver, server.address, other.address))
    (line,) = lines_about(server.address, caplog)
    assert re.fullmatch(f"server {server.address} is out of service: {why}", line)


def test_a_server_that_wants_a_password_is_ejected_without_traffic(
    driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # As memcached -Y does.
        with contextlib.suppress(OSError):
            while await reader.readline():
                writer.write(b"CLIENT_ERROR unauthenticated\r\n")
        writer.close()

    async def scenario(other: str) -> None:
        async with listening(refuse) as address:
            await out_from_the_start(driver, address, other)
            why = "it wants a password: it answers b'CLIENT_ERROR unauthenticated' to version"
            assert lines_about(address, caplog) == [f"server {address} is out of service: {why}"]

    with EmbeddedServer() as other:
        runner(driver)(scenario(other.address))


def test_the_links_of_a_server_back_off_together(driver: str) -> None:
    visits = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        writer.write(b"ERROR Too many open connections\r\n")
        writer.close()

    async def scenario() -> None:
        nonlocal visits
        async with listening(refuse) as address:
            # The last server of its pool stays in service, and its links are retried.
            pool = Pool("main", Pool.of("main", [address]).servers, links=16)
            proxy = await start_proxy(driver, PoolRoute(pool), threads=1)
            await asyncio.sleep(0.5)
            first, visits = visits, 0
            await asyncio.sleep(1.5)
            await proxy.close(0.1)
            # All links once, then one for all: not 16 times as often.
            assert first >= 16
            assert 1 <= visits < 16

    runner(driver)(scenario())
