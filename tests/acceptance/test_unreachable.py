"""A server that cannot be used is named, with the system's reason: to clients, in the log and in `stats`."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import socket

import pytest

from mcroute.asyncio import Client, NoServer, RequestFailed, ServerLost
from mcroute.drivers.asyncio.environment import Environment
from mcroute.drivers.asyncio.lookup_threads import LookupThreads
from mcroute.drivers.asyncio.lookups import Lookups
from mcroute.policy import Pool, PoolRoute, Replicate, Route
from mcroute.runtime.handshakes import why_lost
from mcroute.testing import EmbeddedServer

from .drivers import DRIVERS, Run, runner, start_proxy

REFUSED = "it cannot be connected to: Connection refused"


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(driver: str) -> Run:
    return runner(driver)


def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def pool(*addresses: str) -> Pool:
    return Pool("main", Pool.of("main", addresses).servers, reply_timeout_s=20, deadline_s=20)


async def ask(port: int, request: bytes, end: bytes = b"\r\n") -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.readuntil(end)
    writer.close()
    return answer.decode().rstrip()


def test_the_only_server(driver: str, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    address = closed()

    async def scenario() -> None:
        proxy = await start_proxy(driver, PoolRoute(pool(address)))
        try:
            for request in (b"get k\r\n", b"get k l\r\n", b"set k 0 0 1\r\nx\r\n"):
                assert await ask(proxy.port, request) == f"SERVER_ERROR server {address}: {REFUSED}"
            rows = await ask(proxy.port, b"stats servers\r\n", b"END\r\n")
            assert f"STAT {address}:state failing\r\n" in rows
            assert f"STAT {address}:fault {REFUSED}\r\n" in rows
        finally:
            await proxy.close()

    caplog.set_level(logging.WARNING, "mcroute")
    run(scenario())
    assert [record.getMessage() for record in caplog.records][:2] == [
        f"pool main: panic begins: 1 of 1 servers are out of service or have failed: {address}",
        f"server {address} cannot be used: {REFUSED}",
    ]


def test_both_copies(driver: str, run: Run) -> None:
    addresses = [closed(), closed()]

    async def scenario() -> None:
        proxy = await start_proxy(driver, Replicate(pool(*addresses)))
        try:
            answers = {
                f"SERVER_ERROR server {address}{how}: {REFUSED}"
                for address in addresses
                for how in ("", " is out of service")
            }
            assert await ask(proxy.port, b"get k\r\n") in answers
            assert await ask(proxy.port, b"set k 0 0 1\r\nx\r\n") in answers
        finally:
            await proxy.close()

    run(scenario())


def test_a_name_without_an_address(driver: str, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def unknown(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    environment = Environment(lookups=lambda: Lookups(LookupThreads(unknown)))
    reason = "it cannot be connected to: no address is known for its name (Name or service not known)"

    async def scenario() -> None:
        proxy = await start_proxy(driver, PoolRoute(pool("cache-9:1")), environment=environment)
        try:
            assert await ask(proxy.port, b"get k\r\n") == f"SERVER_ERROR server cache-9:1: {reason}"
        finally:
            await proxy.close()

    caplog.set_level(logging.WARNING, "mcroute")
    run(scenario())
    assert f"server cache-9:1 cannot be used: {reason}" in caplog.messages


def test_an_error_for_a_lost_connection(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:
            proxy = await start_proxy(driver, PoolRoute(pool(server.address)))
            try:
                server.pause()
                asking = asyncio.ensure_future(ask(proxy.port, b"get k\r\n"))
                while not any(links.unanswered for links in proxy.supervision.links.values()):
                    await asyncio.sleep(0.01)
                server.kill()
                # The error has the supervisor's text, even before the supervisor has the event.
                said = f"SERVER_ERROR server {server.address}: its connection was lost: "
                assert await asking in {said + why_lost(error) for error in (0, errno.ECONNRESET)}
            finally:
                await proxy.close()

    run(scenario())


# ---- the client ----


async def failure_of(route: Route) -> RequestFailed:
    async with Client(route) as client:
        with pytest.raises(RequestFailed) as caught:
            await client.get("k")
        for method in (client.set("k", 1), client.get_many(["k", "l"]), client.delete("k")):
            with pytest.raises(RequestFailed, match="server "):
                await method
        return caught.value


def test_the_client_says_which_server_and_why() -> None:
    address = closed()
    error = asyncio.run(failure_of(PoolRoute(pool(address))))
    assert type(error) is ServerLost
    assert str(error) == f"get 'k': server {address}: {REFUSED}"
    assert error.server == address
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_an_error_names_a_server_when_every_copy_is_down() -> None:
    addresses = [closed(), closed()]
    error = asyncio.run(failure_of(Replicate(pool(*addresses))))
    assert isinstance(error, (ServerLost, NoServer))
    assert error.server in addresses and error.server in str(error)
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_an_error_for_a_lost_connection_names_the_reason() -> None:
    async def scenario() -> ServerLost:
        with EmbeddedServer() as server:
            async with Client(PoolRoute(pool(server.address))) as client:
                server.pause()
                asking = asyncio.ensure_future(client.get("k"))
                await asyncio.sleep(0.05)
                server.kill()
                with pytest.raises(ServerLost, match="its connection was lost: ") as caught:
                    await asking
                assert caught.value.server == server.address
                return caught.value

    assert isinstance(asyncio.run(scenario()).__cause__, ConnectionError)


def test_an_error_for_a_silent_server_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        servers = Pool.of("main", [address]).servers
        error = asyncio.run(failure_of(PoolRoute(Pool("main", servers, connect_timeout_s=0.05))))
    assert str(error) == f"get 'k': server {address}: it takes connections and answers nothing in time"
    assert isinstance(error.__cause__, TimeoutError)


READS, WRITES = b"get k\r\n", b"set k 0 0 1\r\nx\r\n"
MISSED = "it missed a write that another copy may have"
CLOSED = "it takes connections and closes them at once"
LOST = r"its connection was lost with writes in flight \(\d\)"


@pytest.mark.parametrize(
    ("request_line", "dies", "why"),
    [
        (READS, False, re.escape("too many failures in a row (trip_after)")),
        # A thread without a write on its connection may report first, by its next attempt.
        (WRITES, True, f"({MISSED}|{LOST})(: .+)?|{REFUSED}|{CLOSED}"),
    ],
    ids=["reads of a silent server", "writes to a server that dies"],
)
def test_the_log_names_the_rule_that_ejected_a_server(
    driver: str, run: Run, request_line: bytes, dies: bool, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as one, EmbeddedServer() as other:
            servers = Pool.of("main", [one.address, other.address]).servers
            # Only a lost connection ends the write in time, and no handshake fails before.
            timeout_s = 20 if dies else 0.2
            limits = {"connect_timeout_s": 20, "reply_timeout_s": timeout_s, "deadline_s": 20}
            pair = Pool("main", servers, trip_after=99 if dies else 1, **limits)
            first = (one, other)[pair.ring().owner("k")]
            line = f"server {first.address} is out of service: "
            proxy = await start_proxy(driver, Replicate(pair, copies=2))
            try:
                # On connections to each of its threads.
                assert {await ask(proxy.port, WRITES) for _ in range(16)} == {"STORED"}
                first.pause()
                asked = [asyncio.create_task(ask(proxy.port, request_line)) for _ in range(3)]
                if dies:
                    await asyncio.sleep(0.1)
                    first.kill()
                await asyncio.gather(*asked)
                while line not in caplog.text:
                    await asyncio.sleep(0.01)
                said = next(text for text in caplog.messages if text.startswith(line))
                assert re.fullmatch(why, said.removeprefix(line)), said
            finally:
                first.resume()
                await proxy.close()

    run(scenario())
