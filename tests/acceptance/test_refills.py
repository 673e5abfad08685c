"""A few refills on real memcacheds; `python -m tests.acceptance.refills` does many races with writes."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace

import pytest

from mcroute.policy import Limits, Replicate
from mcroute.testing import MemcachedServer, find_memcached

from .clients import Client
from .drivers import DRIVERS, Run
from .refills import Settings, counted, idle, pool_of, proxies, races, warm_route

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="starts a second memcached"),
]

AT_ONCE = Limits(refill_keys_per_s=1000.0, refill_hold_off_s=0.0)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("is_warm", [False, True])
def test_writes_and_deletes_win_over_refills(driver: str, is_warm: bool) -> None:
    outcome = asyncio.run(races(Settings(driver=driver, pairs=800, is_warm=is_warm)))
    assert outcome.pairs == 800
    assert outcome.stale == outcome.left == []
    assert outcome.counted["refilled"] > 0


@pytest.mark.parametrize("driver", DRIVERS)
def test_another_router_s_writes_win_in_the_end(driver: str) -> None:
    outcome = asyncio.run(races(Settings(driver=driver, pairs=320, routers=2, hold_off_s=0.1)))
    assert outcome.pairs == 320
    assert outcome.left == []


async def refilled(driver: str, store: bytes, key: str, limits: Limits = AT_ONCE) -> tuple[bytes, bytes]:
    """`mg` of the copy that was refilled, and of its source, in one moment."""
    with MemcachedServer() as one, MemcachedServer() as two:
        pool = pool_of([one, two])
        async with proxies(driver, Replicate(pool), 1, limits) as [proxy]:
            owner, other = pool.ring().owners(key.encode(), 2)
            direct = [await Client.to(server) for server in (one, two)]
            client = await Client.to(proxy)
            assert await client.ask(store) == b"STORED\r\n"
            assert await direct[owner].ask(f"delete {key}\r\n".encode()) == b"DELETED\r\n"
            assert await client.get(key) == b"value"
            while not counted(proxy)["refilled"]:
                await asyncio.sleep(0.01)
            look = f"mg {key} f t s\r\n".encode()
            found = await direct[owner].ask(look), await direct[other].ask(look)
            await idle(proxy)
            assert await direct[owner].get(key) == b"value"
            assert counted(proxy) == {
                "refilled": 1,
                "refills_present": 0,
                "refills_gone": 0,
                "refills_skipped": 0,
                "refills_dropped": 0,
                "refills_undone": 0,
            }
            for each in (client, *direct):
                await each.close()
            return found


def lifetime(reply: bytes) -> int:
    return next(int(flag[1:]) for flag in reply.split() if flag.startswith(b"t"))


def test_the_copy_has_the_flags_and_no_lifetime_of_its_source(driver: str, run: Run) -> None:
    async def scenario() -> None:
        copy, source = await refilled(driver, b"set k 4294967295 0 5\r\nvalue\r\n", "k")
        assert copy == source == b"HD f4294967295 t-1 s5\r\n"

    run(scenario())


@pytest.mark.parametrize("seconds", [100, 30 * 24 * 3600])
def test_the_copy_has_the_rest_of_the_lifetime(driver: str, run: Run, seconds: int) -> None:
    async def scenario() -> None:
        copy, source = await refilled(driver, b"set k 7 %d 5\r\nvalue\r\n" % seconds, "k")
        assert copy.startswith(b"HD f7 t")
        # Servers count in whole seconds, each from another moment.
        assert 0 <= lifetime(source) - lifetime(copy) <= 2

    run(scenario())


def test_a_lifetime_of_more_than_thirty_days_stays_one(driver: str, run: Run) -> None:
    async def scenario() -> None:
        ends_at = int(time.time()) + 90 * 24 * 3600
        copy, source = await refilled(driver, b"set k 7 %d 5\r\nvalue\r\n" % ends_at, "k")
        assert 0 <= lifetime(source) - lifetime(copy) <= 3
        assert lifetime(copy) > 89 * 24 * 3600

    run(scenario())


def test_no_copy_outlives_its_source(driver: str, run: Run) -> None:
    """Many keys, so that reads fall into all phases of the servers' seconds."""

    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as two:
            pool = pool_of([one, two])
            async with proxies(driver, Replicate(pool), 1, AT_ONCE) as [proxy]:
                client, direct = await Client.to(proxy), [await Client.to(server) for server in (one, two)]
                owners = {f"k{n}": pool.ring().owners(b"k%d" % n, 2) for n in range(60)}
                for key, (owner, _) in owners.items():
                    assert await client.ask(f"set {key} 0 4 5\r\nvalue\r\n".encode()) == b"STORED\r\n"
                    assert await direct[owner].ask(f"delete {key}\r\n".encode()) == b"DELETED\r\n"
                    await asyncio.sleep(0.02)
                    assert await client.get(key) == b"value"
                late, ends_at = [], time.monotonic() + 6
                while time.monotonic() < ends_at:
                    for key, (owner, other) in owners.items():
                        # The source first: if it has ended, the copy has.
                        if await direct[other].get(key) is None and await direct[owner].get(key) is not None:
                            late.append(key)
                    await asyncio.sleep(0.02)
                assert late == []
                assert counted(proxy)["refilled"] == len(owners)
                for each in (client, *direct):
                    await each.close()

    run(scenario())


def test_a_key_that_is_deleted_before_its_refill_is_gone(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as two:
            pool = pool_of([one, two])
            limits = replace(AT_ONCE, refill_hold_off_s=0.2)
            async with proxies(driver, Replicate(pool), 1, limits) as [proxy]:
                client, direct = await Client.to(proxy), [await Client.to(server) for server in (one, two)]
                await client.ask(b"set k 0 0 5\r\nvalue\r\n")
                await direct[pool.ring().owners(b"k", 1)[0]].ask(b"delete k\r\n")
                assert await client.get("k") == b"value"
                assert await client.ask(b"delete k\r\n") == b"DELETED\r\n"
                await idle(proxy)
                assert [await each.get("k") for each in direct] == [None, None]
                assert counted(proxy)["refills_gone"] == 1
                for each in (client, *direct):
                    await each.close()

    run(scenario())


def test_stats_has_the_counters(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as two:
            async with proxies(driver, Replicate(pool_of([one, two])), 1, AT_ONCE) as [proxy]:
                client = await Client.to(proxy)
                rows = await client.stats("servers")
                for name in ("refilled", "refills_dropped", "refills_undone"):
                    assert rows[f"s0:{name}"] == "0"
                await client.close()

    run(scenario())


def test_a_cold_pool_is_filled_by_reads(driver: str, run: Run) -> None:
    async def scenario() -> None:
        with MemcachedServer() as one, MemcachedServer() as two:
            async with proxies(driver, warm_route([one, two]), 1, AT_ONCE) as [proxy]:
                client, cold, warm = [await Client.to(each) for each in (proxy, one, two)]
                for n in range(100):
                    assert await warm.ask(f"set k{n} {n} 1000 5\r\nvalue\r\n".encode()) == b"STORED\r\n"
                for n in range(100):
                    assert await client.get(f"k{n}") == b"value"
                await idle(proxy)
                for n in range(100):
                    reply = await cold.ask(f"mg k{n} f t s\r\n".encode())
                    assert reply.startswith(f"HD f{n} t9".encode())
                assert await client.ask(b"delete k1\r\n") == b"DELETED\r\n"
                assert await client.ask(b"set k2 0 0 3\r\nnew\r\n") == b"STORED\r\n"
                assert [await each.get("k1") for each in (client, cold, warm)] == [None, None, None]
                assert [await each.get("k2") for each in (client, cold, warm)] == [b"new", b"new", None]
                for each in (client, cold, warm):
                    await each.close()

    run(scenario())
