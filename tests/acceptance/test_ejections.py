"""Ejected and protected servers, with every driver."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcroute.policy import HealthSettings, Pool, Replicate, Server, State, SupervisorSettings
from mcroute.runtime import supervision

from .clients import Client, Scripted
from .drivers import HAS_NATIVE, Run, runner, start_proxy


def test_the_last_server_of_a_pool_is_asked_on_before_anybody_has_looked(
    run: Run, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the server fails: no decision of the supervisor is needed to restore it."""
    monkeypatch.setattr(supervision.Supervision, "look_for_trips", lambda self: None)

    async def scenario() -> None:
        async with Scripted.running() as server:
            # A long timeout, so that the first attempt connects on a busy machine too.
            timeouts = {"connect_timeout_s": 10, "reply_timeout_s": 0.05, "deadline_s": 0.1}
            proxy = await start_proxy(driver, server.route(**timeouts))
            client = await Client.to(proxy)
            for _ in range(8):
                assert (
                    await client.ask(b"get k\r\n")
                    == b"SERVER_ERROR timeout: server %b\r\n" % server.address.encode()
                )
            for _ in range(8):
                writer, request = await server.asked()
                assert request == b"get k\r\n"
                writer.write(b"END\r\n")
            assert proxy.engine.is_spared(0)
            await client.close()
            await proxy.close(0)

    run(scenario())


def test_in_a_panic_a_copy_that_missed_a_write_does_not_serve_it(run: Run, driver: str) -> None:
    """The supervisor did not know of the missed write, and restored the server as one that was only slow."""
    settings = SupervisorSettings(HealthSettings(retry_base_s=100))

    async def scenario() -> None:
        async with Scripted.running() as a, Scripted.running() as b, Scripted.running() as c:
            members = tuple(Server.parse(server.address) for server in (a, b, c))
            pool = Pool("main", members, reply_timeout_s=0.2, deadline_s=10, trip_after=1)
            first, second, third = ((a, b, c)[i] for i in pool.ring().owners(b"k", 3))
            proxy = await start_proxy(driver, Replicate(pool, copies=2), settings=settings)
            client = await Client.to(proxy)

            client.writer.write(b"delete k\r\n")
            (await first.asked())[0].write(b"SERVER_ERROR busy\r\n")
            (await second.asked())[0].write(b"DELETED\r\n")
            assert await client.reader.readline() == b"DELETED\r\n"

            # Another one times out, and now most of the pool looks bad.
            owners = (pool.ring().owners(b"%d" % i, 2) for i in range(1000))
            key = next(
                i
                for i, owner in enumerate(owners)
                if (a, b, c)[owner[0]] is third and (a, b, c)[owner[1]] is second
            )
            client.writer.write(b"get %d\r\n" % key)
            await third.asked()
            (await second.asked())[0].write(b"END\r\n")
            assert await client.reader.readline() == b"END\r\n"
            while not proxy.supervision.supervisor.is_panic("main"):
                await asyncio.sleep(0.005)
            number = proxy.engine.server_ids()[first.address]
            assert proxy.supervision.supervisor.state(number) in (State.FENCING, State.FLUSHING)
            assert (await first.asked())[1] == b"flush_all\r\n"

            client.writer.write(b"get k\r\n")
            writer, line = await second.asked()
            assert line == b"get k\r\n"
            writer.write(b"END\r\n")
            assert await client.reader.readline() == b"END\r\n"
            await client.close()
            await proxy.close(0)

    run(scenario())


@pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")
def test_when_a_server_trips_no_thread_waits_for_it_any_longer(tmp_path: Path) -> None:
    """Only the thread that counted the failures let its requests fail over."""
    # No server returns in this test.
    settings = SupervisorSettings(HealthSettings(retry_base_s=1000, retry_cap_s=1000))

    async def scenario() -> None:
        async with Scripted.running() as a, Scripted.running() as b:
            members = tuple(Server.parse(server.address) for server in (a, b))
            pool = Pool("main", members, reply_timeout_s=1000, deadline_s=2000, trip_after=1)
            first, second = ((a, b)[i] for i in pool.ring().owners(b"k", 2))
            path = str(tmp_path / "socket")
            proxy = await start_proxy("native", Replicate(pool, copies=2), settings=settings, path=path)
            clients = [await Client.on_path(path) for _ in range(2)]
            for client in clients:
                await client.ask(b"version\r\n")
            assert [thread.clients() for thread in proxy.driver.threads] == [1, 1]
            for client in clients:
                client.writer.write(b"get k\r\n")
            connection, _ = await first.asked()
            await first.asked()
            connection.transport.abort()
            for _ in clients:
                (await second.asked())[0].write(b"END\r\n")
            for client in clients:
                assert await client.reader.readline() == b"END\r\n"
                await client.close()
            # The lost link is connected again.
            while len(first.connections) < 3:
                await asyncio.sleep(0.005)
            await proxy.close(0)

    runner("native")(scenario())
