"""Clients that vanish, do not read, or come in thousands; and a system that refuses descriptors."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mcroute.policy import Pool, PoolRoute, Server
from mcroute.testing import EmbeddedServer, MemcachedServer, find_memcached
from tests.preloading import child_environment

from .clients import Client, Scripted
from .drivers import HAS_NATIVE, AnyProxy, Run, start_proxy

IDLE = 1000
MEGABYTE = 1 << 20
SET = b"set big 0 0 20000\r\n%s\r\n" % (b"b" * 20_000)
REPLY = b"VALUE big 0 20000\r\n%s\r\nEND\r\n" % (b"b" * 20_000)


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def memcached() -> Iterator[MemcachedServer]:
    with MemcachedServer() as server:
        yield server


def route(server: EmbeddedServer | MemcachedServer) -> PoolRoute:
    """With long timeouts: how busy the machine is does not matter here."""
    only = Server.parse(server.address)
    return PoolRoute(Pool("main", (only,), connect_timeout_s=10, reply_timeout_s=20, deadline_s=30))


async def sessions(proxy: AnyProxy) -> int:
    """Counted by the proxy; the one that asks not included."""
    client = await Client.to(proxy)
    count = int((await client.stats())["curr_connections"])
    await client.close()
    return count - 1


async def until_sessions(proxy: AnyProxy, count: int) -> None:
    while await sessions(proxy) != count:
        await asyncio.sleep(0.01)


def buffered(proxy: AnyProxy) -> int:
    return proxy.engine.snapshot().counters["buffer_bytes"]


PARTS = {
    "nothing": b"",
    "a line": b"get ",
    "a long line": b"get " + b"k" * 200 + b" " + b"l" * 200,
    "a value": b"set k 0 0 1000\r\nabc",
    "a large value": b"set k 0 0 500000\r\n" + b"v" * 300_000,
    "requests": b"get k\r\n" * 5000,
    "writes": b"set k 0 0 100000\r\n%s\r\n" % (b"v" * 100_000) * 20,
    "large replies": b"get big\r\n" * 300,
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("is_reset", [False, True])
def test_clients_that_vanish_leave_nothing_behind(
    run: Run, driver: str, server: EmbeddedServer, part: str, is_reset: bool
) -> None:
    async def scenario() -> None:
        async with await start_proxy(driver, route(server)) as proxy:
            stays = await Client.to(proxy)
            await stays.ask(b"set big 0 0 50000\r\n%s\r\n" % (b"b" * 50_000))
            for _ in range(5):
                client = await Client.to(proxy)
                client.writer.write(PARTS[part])
                await asyncio.sleep(0)
                if is_reset:
                    client.reset()
                else:
                    await client.close()
                assert await stays.get("big") == b"b" * 50_000
            await until_sessions(proxy, 1)
            while buffered(proxy) > MEGABYTE // 4:
                await asyncio.sleep(0.01)
            await stays.close()

    run(scenario())


@pytest.mark.acceptance
@pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH")
def test_a_client_that_does_not_read_takes_little_memory(
    run: Run, driver: str, memcached: MemcachedServer
) -> None:
    """It asks for 200 MB; what the proxy keeps of that are the replies to 1024 requests at most."""

    async def scenario() -> None:
        async with await start_proxy(driver, route(memcached)) as proxy:
            other, idle = await Client.to(proxy), await Client.to(proxy)
            await other.ask(SET)
            idle.writer.write(b"get big\r\n" * 10_000)
            most = 0
            for i in range(100):
                assert await other.ask(b"set k 0 0 1\r\n%d\r\n" % (i % 10)) == b"STORED\r\n"
                assert await other.get("k") == b"%d" % (i % 10)
                most = max(most, buffered(proxy))
            assert most < 100 * MEGABYTE
            for _ in range(10_000):
                assert (await idle.reader.readexactly(len(REPLY))).startswith(b"VALUE big ")
            await idle.close()
            await other.close()

    run(scenario())


def test_requests_in_any_pieces(run: Run, driver: str, server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with await start_proxy(driver, route(server)) as proxy:
            rng = Random(1)
            client = await Client.to(proxy)
            requests = b"".join(b"set k%d 0 0 3\r\n%03d\r\nget k%d\r\n" % (i, i, i) for i in range(200))
            replies = b"".join(b"STORED\r\nVALUE k%d 0 3\r\n%03d\r\nEND\r\n" % (i, i) for i in range(200))
            got = asyncio.create_task(client.reader.readexactly(len(replies)))
            while requests:
                size = rng.randint(1, 60)
                client.writer.write(requests[:size])
                requests = requests[size:]
                await asyncio.sleep(0)
            assert await got == replies
            await client.close()

    run(scenario())


def test_a_client_that_half_closes_and_does_not_read_gets_all_later(
    run: Run, driver: str, server: EmbeddedServer
) -> None:
    async def scenario() -> None:
        async with await start_proxy(driver, route(server)) as proxy:
            client = await Client.to(proxy)
            await client.ask(SET)
            client.writer.write(b"get big\r\n" * 1000)
            client.writer.write_eof()
            # Longer than the proxy needs to fill the buffers for its replies.
            other = await Client.to(proxy)
            for _ in range(50):
                await other.get("big")
            assert len(await client.reader.read()) == 1000 * len(REPLY)
            await client.close()
            await other.close()

    run(scenario())


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * IDLE + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"no more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_thousand_idle_clients(run: Run, driver: str, server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with await start_proxy(driver, route(server)) as proxy:
            clients = []
            for _ in range(IDLE // 100):
                clients += await asyncio.gather(*(Client.to(proxy) for _ in range(100)))
            await until_sessions(proxy, IDLE)
            # No replies are due to them, and none are queued.
            assert buffered(proxy) < MEGABYTE // 4
            for client in clients[::50]:
                assert await client.ask(b"get k\r\n") == b"END\r\n"
            for client in clients:
                client.writer.transport.abort()
            await until_sessions(proxy, 0)

    run(scenario())


# ---- no descriptors left ----

PROXY = """
import asyncio, os, sys
from mcroute.proxy.native_service import NativeService
from mcroute.policy import Pool, PoolRoute, compile_plan

async def main():
    proxy = NativeService(compile_plan(PoolRoute(Pool.of("main", [sys.argv[1]]))), threads=2)
    await proxy.start()
    loop = asyncio.get_running_loop()
    print(proxy.port, flush=True)
    # The process' CPU time, whenever a line comes.
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(sum(os.times()[:2]), flush=True)
    await proxy.close()

asyncio.run(main())
"""


@pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")
def test_without_descriptors_clients_wait_and_those_that_are_there_are_served(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    script = tmp_path / "proxy.py"
    script.write_text(PROXY)
    command = [sys.executable, str(script), server.address]
    limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))}

    async def scenario(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None

        def cpu_s() -> float:
            process.stdin.write("\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        port = int(process.stdout.readline())
        clients = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(100)]
        for client in clients:
            client.writer.write(b"get k\r\n")
        first = [asyncio.create_task(client.reader.readuntil(b"END\r\n")) for client in clients]
        done, waiting = await asyncio.wait(first, timeout=0.3)
        assert done and waiting
        before = cpu_s()
        served = clients[first.index(next(iter(done)))]
        for _ in range(20):
            assert await served.ask(b"get k\r\n") == b"END\r\n"
            await asyncio.sleep(0.05)
        # Of more than a second: a listener that is always ready would use all of it.
        assert cpu_s() - before < 0.5
        for client, reply in zip(clients, first, strict=True):
            if reply in done:
                await client.close()
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for client, reply in zip(clients, first, strict=True):
                if reply in done:
                    await client.close()

    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(),
        **limits,
    ) as process:
        try:
            asyncio.run(asyncio.wait_for(scenario(process), 50))
        finally:
            process.kill()


def test_the_replies_of_a_batch_do_not_wait_for_a_server_that_says_nothing(run: Run, driver: str) -> None:
    async def scenario() -> None:
        async with Scripted.running() as prompt, Scripted.running() as silent:
            servers = (Server.parse(prompt.address), Server.parse(silent.address))
            pool = Pool("main", servers, connect_timeout_s=10, reply_timeout_s=20, deadline_s=30)
            names = [b"k%d" % number for number in range(100)]
            keys = [next(name for name in names if pool.ring().owner(name) == owner) for owner in (0, 1)]
            async with await start_proxy(driver, PoolRoute(pool)) as proxy:
                client = await Client.to(proxy)
                client.writer.write(b"get %s\r\nget %s\r\n" % (keys[0], keys[1]))
                writer, request = await prompt.asked()
                assert request == b"get %s\r\n" % keys[0]
                # The other server has got its requests too, or this would be no batch.
                other, _ = await silent.asked()
                writer.write(b"END\r\n")
                assert await asyncio.wait_for(client.reader.readline(), 10) == b"END\r\n"
                other.write(b"END\r\n")
                assert await client.reader.readline() == b"END\r\n"
                await client.close()

    run(scenario())
