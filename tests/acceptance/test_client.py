"""The client in process over real memcacheds: conversations, dying and hanging servers, forks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pymemcache
import pytest

from mcroute.asyncio import Client, RequestRefused, ServerRefused
from mcroute.policy import HealthSettings, Pool, PoolRoute, Replicate, Route, State, SupervisorSettings
from mcroute.testing import MemcachedServer, find_memcached

from .drivers import LOOPS, Run
from .load import Load

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    # Python 3.12 warns of threads that other tests may have left; the children here take no lock of theirs.
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

# Servers come back soon, so that tests see several returns.
SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=0.2, retry_cap_s=0.4), refence_s=0.05)


@pytest.fixture(params=LOOPS)
def driver(request: pytest.FixtureRequest) -> str:
    """A client has no native one: its loop is the process's own."""
    return str(request.param)


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(MemcachedServer()) for _ in range(4)]


def pool(servers: list[MemcachedServer], **options: float) -> Pool:
    return Pool("main", Pool.of("main", [server.address for server in servers]).servers, **options)


def client_for(route: Route, **options: Any) -> Client:
    return Client(route, settings=SETTINGS, rng=Random(1), **options)


def test_a_conversation(run: Run, servers: list[MemcachedServer]) -> None:
    async def scenario() -> None:
        async with client_for(PoolRoute(pool(servers))) as client:
            assert await client.set("a", "old") is True
            assert await client.add("a", "x") is False
            assert await client.replace("a", "new") is True
            assert await client.append("a", "!") is True
            assert await client.prepend("a", ">") is True
            value, token = await client.gets("a")
            assert value == b">new!"
            assert await client.cas("a", "first", token) is True
            assert await client.cas("a", "second", token) is False
            assert await client.cas("missing", "x", token) is None
            assert await client.set_many({f"k{i}": i for i in range(1000)}) == []
            assert len(await client.get_many(f"k{i}" for i in range(2000))) == 1000
            assert await client.incr("k7", 3) == 10
            assert await client.decr("k7", 30) == 0
            assert await client.incr("missing", 1) is None
            assert await client.touch("a", 100) is True
            assert await client.gat("a", 100) == b"first"
            assert await client.gats("a", 100) == (b"first", (await client.gets("a"))[1])
            assert await client.delete("a") is True
            assert await client.delete("a") is False
            with pytest.raises(RequestRefused, match="non-numeric"):
                await client.set("a", "text")
                await client.incr("a", 1)
            with pytest.raises(ServerRefused, match="too large"):
                await client.set("a", bytes(1 << 20))
            assert await client.flush_all() is True
            assert await client.get_many(f"k{i}" for i in range(100)) == {}
            for name, version in (await client.version()).items():
                with contextlib.closing(pymemcache.Client(name)) as other:
                    assert version == other.version()
            for stats in (await client.stats()).values():
                assert stats is not None and stats[b"pointer_size"] == 64

    run(scenario())


# ---- servers that die, hang and return ----


def load_on(client: Client) -> Load:
    return Load(lambda: contextlib.nullcontext(client))


async def until_state(client: Client, state: State, server: int) -> None:
    name = client.plan.servers[server].name
    while client.server_states()[name] is not state:
        await asyncio.sleep(0.01)


def test_a_killed_server_costs_no_request_and_returns_without_old_values(
    run: Run, servers: list[MemcachedServer]
) -> None:
    async def scenario() -> None:
        async with (
            client_for(Replicate(pool(servers), copies=2)) as client,
            load_on(client).running() as load,
        ):
            await load.rounds(500)
            for _ in range(2):
                servers[1].kill()
                await until_state(client, State.EJECTED, 1)
                await load.rounds(500)
                servers[1].start()
                await until_state(client, State.UP, 1)
                await load.rounds(1000)
        assert load.faults == []
        assert load.errors == []

    run(scenario())


def test_a_stopped_server_delays_within_the_deadline_and_returns_without_old_values(
    run: Run, servers: list[MemcachedServer]
) -> None:
    async def scenario() -> None:
        # This test waits for these timeouts: short ones keep it short.
        route = Replicate(pool(servers, reply_timeout_s=0.2, deadline_s=0.6), copies=2)
        async with client_for(route) as client, load_on(client).running() as load:
            await load.rounds(500)
            for _ in range(2):
                servers[2].pause()
                await until_state(client, State.EJECTED, 2)
                await load.rounds(500)
                servers[2].resume()
                await until_state(client, State.UP, 2)
                await load.rounds(1000)
        assert load.faults == []
        assert load.errors == []
        # Far above the deadline, for busy machines, and far below what waiting for the server would take.
        assert load.slowest < 0.6 + 2.0

    run(scenario())


# ---- forks ----

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def connections(server: MemcachedServer) -> set[str]:
    """The far ends of the server's TCP connections, without the one that asks."""
    with socket.create_connection((server.host, server.port)) as link, link.makefile("rwb") as stream:
        stream.write(b"stats conns\r\n")
        stream.flush()
        own = "{}:{}".format(*link.getsockname())
        found = set()
        while (line := stream.readline()) != b"END\r\n":
            _, name, value = line.decode().split(None, 2)
            if name.endswith(":addr") and "*" not in value:
                found.add(value.strip().removeprefix("tcp:"))
        return {address for address in found if address != own and not address.endswith(f":{server.port}")}


def in_child(work: Callable[[], None]) -> int:
    """Forks; the child runs and exits. Returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


async def ended(pid: int) -> int:
    """The child's exit status."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        await asyncio.sleep(0.01)


@needs_fork
def test_parent_and_child_use_their_own_connections(run: Run, servers: list[MemcachedServer]) -> None:
    async def scenario() -> None:
        # Long timeouts, so that no request times out on a busy machine.
        unhurried = pool(servers, connect_timeout_s=30.0, reply_timeout_s=30.0, deadline_s=30.0)
        async with client_for(Replicate(unhurried, copies=2)) as client:
            await client.set_many({f"k{i}": f"k{i}" for i in range(50)})
            # Connections on which servers are asked about themselves close soon.
            before: list[set[str]] = []
            while [len(held) for held in before] != [1] * len(servers):
                await asyncio.sleep(0.01)
                before = [connections(server) for server in servers]

            async def read() -> None:
                for _ in range(40):
                    for i in range(50):
                        assert await client.get(f"k{i}") == b"k%d" % i
                    found = await client.get_many(f"k{i}" for i in range(50))
                    assert found == {f"k{i}": b"k%d" % i for i in range(50)}

            async def in_the_child() -> None:
                await read()
                await client.close()

            # The parent has requests in flight when the child begins.
            reading = asyncio.create_task(read())
            await asyncio.sleep(0.01)
            child = in_child(lambda: run(in_the_child()))
            await reading
            assert await ended(child) == 0
            await read()
            assert [connections(server) for server in servers] == before
            counters = client.counters()
            assert (counters["desyncs"], counters["failovers"], counters["timeouts"]) == (0, 0, 0)

    run(scenario())


@needs_fork
def test_a_child_that_does_nothing_keeps_no_connection_open(run: Run, servers: list[MemcachedServer]) -> None:
    """Else a server would list connections that the parent has closed, and could not be fenced."""

    async def scenario() -> None:
        client = await client_for(PoolRoute(pool(servers))).connect()
        child = in_child(lambda: time.sleep(60))
        try:
            assert all(connections(server) for server in servers)
            await client.close()
            while any(connections(server) for server in servers):
                await asyncio.sleep(0.01)
        finally:
            os.kill(child, 9)
            await ended(child)

    run(scenario())


@needs_fork
def test_a_client_from_before_the_fork_serves_many_children(servers: list[MemcachedServer]) -> None:
    """As with a server that forks its workers when everything is set up."""
    client = client_for(PoolRoute(pool(servers)))

    async def set_up() -> None:
        await client.set("from", "parent")

    async def work(number: int) -> None:
        async with client:
            assert await client.get("from") == b"parent"
            await client.set(f"from-{number}", number)

    async def see() -> None:
        async with client_for(PoolRoute(pool(servers))) as other:
            assert len(await other.get_many(f"from-{i}" for i in range(4))) == 4

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(set_up())
        children = [in_child(lambda i=i: asyncio.run(work(i))) for i in range(4)]
        for child in children:
            assert loop.run_until_complete(ended(child)) == 0
        loop.run_until_complete(see())
        loop.run_until_complete(client.close())
