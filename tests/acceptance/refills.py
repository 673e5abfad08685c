"""Races of refills with writes and deletes of the same key, on real memcacheds.

    python -m tests.acceptance.refills --driver native --pairs 20000 --routers 2 --memcached /opt/memcached

Each key is stored through the router, deleted on one copy behind the router's back, and read, so that it is
refilled. Meanwhile or a moment later it is deleted or stored anew through the router, on another connection.
From the answer on no read may return the old value, and in the end neither copy may have it. With two routers
the second one writes; then only the end counts, after the hold-off.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from random import Random

from mcroute.policy import Limits, OutlierSettings, Pool, Replicate, Route, Server, SupervisorSettings, Warm
from mcroute.testing import MemcachedServer

from .clients import Client
from .drivers import AnyProxy, start_proxy

# On a busy machine any server may be much slower than another one for a while.
CALM = SupervisorSettings(outliers=OutlierSettings(latency_floor_s=60.0))


@dataclass(frozen=True)
class Settings:
    driver: str = "native"
    pairs: int = 1000
    routers: int = 1
    is_warm: bool = False  # a cold pool that is filled from a warm one, instead of two copies
    workers: int = 16
    memcached: str | None = None
    hold_off_s: float = 0.0
    # Writes come at most so long after the read.
    within_s: float = 0.002


@dataclass
class Outcome:
    pairs: int = 0
    stale: list[str] = field(default_factory=list)  # keys read with their old value after the answer
    left: list[str] = field(default_factory=list)  # keys whose old value is on a server in the end
    counted: Counter[str] = field(default_factory=Counter)


def pool_of(servers: Sequence[MemcachedServer]) -> Pool:
    members = tuple(Server.parse(s.address, name=f"s{n}") for n, s in enumerate(servers))
    return Pool("main", members, reply_timeout_s=20, deadline_s=20)


def warm_route(servers: Sequence[MemcachedServer]) -> Warm:
    """The first server is cold, the second one warm."""
    cold, warm = pool_of(servers).servers
    limits = {"reply_timeout_s": 20.0, "deadline_s": 20.0}
    return Warm(Pool("cold", (cold,), **limits), Pool("warm", (warm,), **limits))


@contextlib.asynccontextmanager
async def proxies(driver: str, route: Route, count: int, limits: Limits) -> AsyncIterator[list[AnyProxy]]:
    started = [await start_proxy(driver, route, settings=CALM, limits=limits) for _ in range(count)]
    try:
        yield started
    finally:
        for proxy in started:
            await proxy.close(0.1)


def counted(proxy: AnyProxy) -> Counter[str]:
    """The counters of refills, summed over all servers."""
    total: Counter[str] = Counter()
    for server in proxy.engine.snapshot().servers.values():
        total.update({name: n for name, n in server.counters.items() if name.startswith("refill")})
    return total


async def idle(proxy: AnyProxy) -> None:
    """Returns when the proxy has no refill under way or in its hold-off."""
    while proxy.engine.snapshot().counters["refills_open"]:
        await asyncio.sleep(0.02)


async def races(settings: Settings) -> Outcome:
    outcome = Outcome()
    limits = Limits(refill_keys_per_s=1e6, refill_hold_off_s=settings.hold_off_s)
    with MemcachedServer(binary=settings.memcached) as one, MemcachedServer(binary=settings.memcached) as two:
        servers = [one, two]
        pool = pool_of(servers)
        route = warm_route(servers) if settings.is_warm else Replicate(pool)
        async with proxies(settings.driver, route, settings.routers, limits) as started:
            each = settings.pairs // settings.workers
            workers = [
                _worker(settings, number, each, pool, servers, started, outcome)
                for number in range(settings.workers)
            ]
            await asyncio.gather(*workers)
            for proxy in started:
                outcome.counted += counted(proxy)
    return outcome


async def _worker(
    settings: Settings,
    number: int,
    count: int,
    pool: Pool,
    servers: Sequence[MemcachedServer],
    started: Sequence[AnyProxy],
    outcome: Outcome,
) -> None:
    rng, ring = Random(number), pool.ring()
    reader, writer = await Client.to(started[0]), await Client.to(started[-1])
    direct = [await Client.to(server) for server in servers]
    keys = [f"key-{number}-{n}" for n in range(count)]
    deleted = set()
    for key in keys:
        store = f"set {key} 0 0 3\r\nold\r\n".encode()
        if settings.is_warm:
            assert await direct[1].ask(store) == b"STORED\r\n"
        else:
            assert await reader.ask(store) == b"STORED\r\n"
            owner = ring.owners(key.encode(), 1)[0]
            assert await direct[owner].ask(f"delete {key}\r\n".encode()) == b"DELETED\r\n"
        if rng.random() < 0.7:
            deleted.add(key)
            write, answer = f"delete {key}\r\n".encode(), b"DELETED\r\n"
        else:
            write, answer = f"set {key} 0 0 3\r\nnew\r\n".encode(), b"STORED\r\n"
        when = rng.choice(("with the read", "at once", "later"))
        if when == "with the read" and not settings.hold_off_s:
            _, answered = await asyncio.gather(reader.get(key), writer.ask(write))
        else:
            assert await reader.get(key) == b"old"
            if settings.hold_off_s or when == "later":
                await asyncio.sleep(settings.hold_off_s + rng.uniform(0, settings.within_s))
            answered = await writer.ask(write)
        assert answered == answer
        for client in (reader, writer, reader):
            if await client.get(key) == b"old" and key not in outcome.stale:
                outcome.stale.append(key)
        outcome.pairs += 1
    for proxy in started:
        await idle(proxy)
    for key in keys:
        values = [await client.get(key) for client in direct]
        if b"old" in values or (key in deleted and any(values)):
            outcome.left.append(key)
    for client in (reader, writer, *direct):
        await client.close()


def main() -> None:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--driver", default="native", choices=("asyncio", "uvloop", "native"))
    known.add_argument("--pairs", type=int, default=10_000)
    known.add_argument("--routers", type=int, default=1)
    known.add_argument("--warm", action="store_true", dest="is_warm", help="a cold and a warm pool")
    known.add_argument("--hold-off", type=float, default=0.0, dest="hold_off_s")
    known.add_argument("--memcached", help="the binary; $MEMCACHED, or the one on the PATH")
    outcome = asyncio.run(races(Settings(**vars(known.parse_args()))))
    print(f"{outcome.pairs} pairs: {len(outcome.stale)} read old, {len(outcome.left)} old in the end")
    print(dict(outcome.counted))


if __name__ == "__main__":
    main()
