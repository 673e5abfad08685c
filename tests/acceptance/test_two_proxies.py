"""Two proxies before the same servers, which know nothing of each other."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from mcroute.policy import Pool, Replicate, Server
from mcroute.testing import MemcachedServer, find_memcached

from .clients import Client
from .drivers import NATIVE, Run, start_proxy
from .windows import Settings, windows

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

NAMES = ("a", "b", "c")
KEYS = [f"k{i}" for i in range(60)]


@contextlib.contextmanager
def three_servers() -> Iterator[list[MemcachedServer]]:
    with MemcachedServer() as one, MemcachedServer() as other, MemcachedServer() as third:
        yield [one, other, third]


@contextlib.asynccontextmanager
async def two_proxies(driver: str, servers: Sequence[MemcachedServer]) -> AsyncIterator[list[Client]]:
    """A client of each."""
    members = tuple(
        Server.parse(server.address, name=name) for name, server in zip(NAMES, servers, strict=True)
    )
    route = Replicate(Pool("main", members, reply_timeout_s=20, deadline_s=20), copies=2)
    proxies = [await start_proxy(driver, route) for _ in range(2)]
    clients = [await Client.to(proxy) for proxy in proxies]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()
        for proxy in proxies:
            await proxy.close(0.1)


async def holders(servers: Sequence[MemcachedServer]) -> dict[str, str]:
    """The names of the servers that have each key."""
    found = dict.fromkeys(KEYS, "")
    for name, server in zip(NAMES, servers, strict=True):
        client = await Client.to(server)
        for key in KEYS:
            if await client.get(key) is not None:
                found[key] += name
        await client.close()
    return found


def test_they_place_keys_alike_and_name_the_same_servers(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with three_servers() as servers:
            async with two_proxies(driver, servers) as clients:
                placements = []
                for client, other in (clients, clients[::-1]):
                    for key in KEYS:
                        assert await client.ask(f"set {key} 0 0 1\r\nx\r\n".encode()) == b"STORED\r\n"
                    assert [await other.get(key) for key in KEYS] == [b"x"] * len(KEYS)
                    placements.append(await holders(servers))
                    for key in KEYS:
                        assert await other.ask(f"delete {key}\r\n".encode()) == b"DELETED\r\n"
                    assert set((await holders(servers)).values()) == {""}
                assert placements[0] == placements[1]
                assert set(placements[0].values()) == {"ab", "ac", "bc"}
                for client in clients:
                    rows = await client.stats("servers")
                    addresses = {name: rows[f"{name}:address"] for name in NAMES}
                    assert addresses == {n: s.address for n, s in zip(NAMES, servers, strict=True)}
                    assert {rows[f"{name}:state"] for name in NAMES} == {"up"}

    run(scenario())


def test_both_proxies_show_the_settings_of_all_servers_while_one_dies(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with three_servers() as servers:
            async with two_proxies(driver, servers) as clients:
                replies = await asyncio.gather(*(client.stats("settings") for client in clients))
                assert [reply["c:maxconns"] for reply in replies] == ["1024", "1024"]
                dying = [asyncio.create_task(client.stats("settings")) for client in clients]
                servers[2].kill()
                replies = list(await asyncio.gather(*dying))
                # Until both proxies know: each finds it by itself.
                while not all("c:state" in reply for reply in replies[-2:]):
                    await asyncio.sleep(0.02)
                    replies += await asyncio.gather(*(client.stats("settings") for client in clients))
                for reply in replies:
                    assert (reply["a:maxconns"], reply["b:maxconns"]) == ("1024", "1024")
                    # A refused connection is known at once: no timeout passes.
                    assert not reply.get("c:error", "").startswith("no answer")
                assert {reply["c:state"] for reply in replies[-2:]} <= {"ejected", "probing"}
                for client, other in (clients, clients[::-1]):
                    for key in KEYS:
                        assert await client.ask(f"set {key} 0 0 1\r\nx\r\n".encode()) == b"STORED\r\n"
                    assert [await other.get(key) for key in KEYS] == [b"x"] * len(KEYS)

    run(scenario())


@pytest.mark.skipif(sys.platform == "win32", reason="stops processes")
@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_one_proxy_cleans_a_server_that_was_stopped_before_it_serves_there(
    driver: str, tmp_path: Path
) -> None:
    """The other one may read old values until then; `tests.acceptance.windows` measures how long."""
    settings = Settings(returns=3, stop_s=(0.3, 1.0), is_busy=driver == "native", driver=driver)
    outcome = asyncio.run(windows(settings, tmp_path))
    assert len(outcome.windows) == 3
    for window, returned in zip(outcome.windows, outcome.returns, strict=True):
        assert window <= returned
