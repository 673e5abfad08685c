"""One of four servers is killed and comes back empty, or is stopped and goes on: which keys are there again?

    python -m tests.acceptance.warming [--fault kill|stop] [--keys 5000] [--rate 1000]
        [--memcached PATH] [--driver asyncio] [--runs 10]

Each key has two copies. A tenth of the keys is written or deleted while the server is away. A client writes
another tenth until the server has its keys again, or the time that the rate allows is over. Then all are read
from the server itself, and from the other server that owns each of them. Other clients read and write other
keys all the time; the times of their requests are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from mcroute.policy import Pool
from mcroute.testing import MemcachedServer, free_port

from .load import Connection, Failed, connected
from .service import Service, service
from .soak import beside

__all__ = ("Fleet", "Item", "Outcome", "Settings", "fleet", "read_items", "store", "warming")

SERVERS = 4
# Requests of clients in a second, in all, and the seconds before the fault.
LIVE_RATE, LIVE_KEYS, CALM_S = 400, 500, 5.0
CLIENTS = 4
# A server serves again within the first, and its keys are copied by the second after what the rate allows.
RETURN_S, MARGIN_S = 30.0, 5.0
# The client that writes all the time sends so many writes in a second.
CHURN_RATE = 200
ASKED_AT_ONCE = 100


@dataclass(frozen=True)
class Settings:
    fault: str = "kill"
    keys: int = 5000
    rate: float = 1000.0
    driver: str = "native"
    threads: int = 2
    memcached: str | None = None
    seed: int = 1
    margin_s: float = MARGIN_S
    proxies: int = 1


@dataclass(frozen=True)
class Item:
    value: bytes
    flags: int
    ttl_s: int  # -1 for none


@dataclass
class Fleet:
    """Servers with two copies of each key, and a proxy."""

    servers: Sequence[MemcachedServer]
    proxy: Service
    log: list[str] = field(default_factory=list)
    others: list[Fleet] = field(default_factory=list)  # the same servers, as other proxies see them

    def __post_init__(self) -> None:
        self._ring = Pool.of("main", [server.address for server in self.servers]).ring()

    def owners(self, key: str) -> list[MemcachedServer]:
        return [self.servers[i] for i in self._ring.owners(key.encode(), 2)]

    async def listen(self) -> None:
        while line := await self.proxy.line():
            self.log.append(line.rstrip())

    def said(self, server: MemcachedServer, text: str) -> list[str]:
        """The lines of the log about a server with this text."""
        return [line for line in self.log if f" server {server.address} {text}" in line]

    async def until(self, server: MemcachedServer, text: str, timeout_s: float, count: int = 1) -> bool:
        """Waits for so many such lines. Returns whether they came in time."""
        clock = asyncio.get_running_loop().time
        ends_at = clock() + timeout_s
        while len(self.said(server, text)) < count and clock() < ends_at:
            await asyncio.sleep(0.02)
        return len(self.said(server, text)) >= count


def _text(port: int, servers: Sequence[MemcachedServer], rate: float) -> str:
    members = ", ".join(f'"{server.address}"' for server in servers)
    return f"""
        [proxy]
        listen = "127.0.0.1:{port}"
        [pools.main]
        servers = [{members}]
        copies = 2
        reply_timeout_s = 0.3
        deadline_s = 5
        [health]
        retry_base_s = 0.1
        [warming]
        keys_per_s = {rate}
    """


@contextlib.asynccontextmanager
async def fleet(
    driver: str, threads: int, memcached: str | None, rate: float, directory: Path, proxies: int = 1
) -> AsyncIterator[Fleet]:
    """Further proxies have the same servers, and no clients."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [stack.enter_context(MemcachedServer("-t", "2", binary=memcached)) for _ in range(SERVERS)]
        fleets = []
        for _ in range(proxies):
            port = free_port()
            text, file = _text(port, servers, rate), directory / f"{port}.toml"
            proxy = await stack.enter_async_context(service(driver, file, text, port, threads))
            fleets.append(Fleet(servers, proxy))
            await stack.enter_async_context(beside(fleets[-1].listen()))
        fleets[0].others = fleets[1:]
        yield fleets[0]


async def read_items(server: MemcachedServer, keys: Sequence[str]) -> dict[str, Item]:
    """What the server itself holds of these keys; this counts as no use of them."""
    found = {}
    async with connected(server.port) as direct:
        for first in range(0, len(keys), ASKED_AT_ONCE):
            some = keys[first : first + ASKED_AT_ONCE]
            direct.writer.write("".join(f"mg {key} f t v\r\n" for key in some).encode())
            for key in some:
                words = (await direct.reader.readuntil(b"\r\n")).split()
                if words[0] == b"VA":
                    value = await direct.reader.readexactly(int(words[1]) + 2)
                    found[key] = Item(value[:-2], int(words[2][1:]), int(words[3][1:]))
    return found


@dataclass
class Outcome:
    rate: float
    owned: int = 0  # keys of the server that have a value
    untouched: int = 0  # these without those written meanwhile
    back: int = 0
    untouched_back: int = 0
    old: list[str] = field(default_factory=list)
    wrong_lives: list[str] = field(default_factory=list)
    away_s: float = 0.0
    took_s: float = 0.0  # from the return to service
    before: list[float] = field(default_factory=list)  # seconds of each request of the other clients
    meanwhile: list[float] = field(default_factory=list)
    cpu: list[float] = field(
        default_factory=list
    )  # shares of a core that the proxy took, before and meanwhile
    errors: int = 0
    lines: list[str] = field(default_factory=list)  # of the logs, about the server

    @property
    def share(self) -> float:
        return self.back / self.owned

    def report(self) -> str:
        return (
            f"away {self.away_s:.1f} s; {self.back} of {self.owned} keys back ({100 * self.share:.2f} %), "
            f"{self.untouched_back} of {self.untouched} untouched ones, in {self.took_s:.1f} s at "
            f"{self.rate:g} a second; {len(self.old)} old values, {len(self.wrong_lives)} wrong lifetimes; "
            f"other requests: p99 {1000 * quantile(self.before, 0.99):.2f} ms before, "
            f"{1000 * quantile(self.meanwhile, 0.99):.2f} ms meanwhile ({len(self.meanwhile)} requests), "
            f"p50 {1000 * quantile(self.before, 0.5):.2f} and {1000 * quantile(self.meanwhile, 0.5):.2f} ms, "
            f"{self.errors} errors; CPU of the proxy "
            f"{' and '.join(f'{100 * share:.1f} %' for share in self.cpu)}"
        )


def quantile(times: Sequence[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@contextlib.asynccontextmanager
async def _measured(proxy: Service, shares: list[float]) -> AsyncIterator[None]:
    """Appends the share of a core that the proxy takes meanwhile."""
    clock = asyncio.get_running_loop().time
    begun_at, cpu_s = clock(), _cpu_s(proxy)
    yield
    shares.append((_cpu_s(proxy) - cpu_s) / (clock() - begun_at))


def _cpu_s(proxy: Service) -> float:
    try:
        words = Path(f"/proc/{proxy.process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Live:
    """Other clients, which measure the times of their requests."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.errors = 0

    async def work(self, port: int, rng: Random) -> None:
        clock = asyncio.get_running_loop().time
        async with connected(port) as client:
            due_at = clock()
            while True:
                due_at += CLIENTS / LIVE_RATE * 2 * rng.random()
                await asyncio.sleep(max(0.0, due_at - clock()))
                key, begun_at = f"live:{rng.randrange(LIVE_KEYS)}", clock()
                try:
                    await (client.set(key, b"x" * 100) if rng.random() < 0.1 else client.get(key))
                except Failed:
                    self.errors += 1
                self.times.append(clock() - begun_at)

    def take(self) -> list[float]:
        taken, self.times = self.times, []
        return taken


async def store(client: Connection, keys: Sequence[str], text: str) -> None:
    """Values with flags and lifetimes of several kinds, some without an end."""
    for first in range(0, len(keys), ASKED_AT_ONCE):
        some = keys[first : first + ASKED_AT_ONCE]
        for key in some:
            number = int(key.partition(":")[2])
            value = f"{text} {key}".encode()
            life_s = 0 if number % 3 == 0 else 100 + number
            line = f"set {key} {number % 7} {life_s} {len(value)}\r\n".encode()
            client.writer.write(line + value + b"\r\n")
        for _ in some:
            await client.line(b"STORED\r\n")


class Values:
    """What each key holds, by the answered writes."""

    def __init__(self, count: int, rng: Random) -> None:
        keys = [f"key:{i}" for i in range(count)]
        self.expected: dict[str, bytes | None] = {key: f"first {key}".encode() for key in keys}
        self.untouched = {*keys}
        some = rng.sample(keys, count // 5)
        self.away, self.churned = some[::2], some[1::2]
        self._rng = rng

    async def change(self, client: Connection, keys: Sequence[str], text: str) -> None:
        """Writes four of five of these keys, and deletes the others."""
        deleted = {key for key in keys if self._rng.random() < 0.2}
        self.untouched -= {*keys}
        await store(client, [key for key in keys if key not in deleted], text)
        for key in deleted:
            await client.delete(key)
        self.expected |= {key: None if key in deleted else f"{text} {key}".encode() for key in keys}

    async def churn(self, port: int, over: asyncio.Event) -> None:
        async with connected(port) as client:
            turn = 0
            while not over.is_set():
                turn += 1
                await self.change(client, [self._rng.choice(self.churned)], f"turn-{turn}")
                await asyncio.sleep(2 * self._rng.random() / CHURN_RATE)


async def warming(settings: Settings, directory: Path) -> Outcome:
    """Raises TimeoutError if the server does not come back into service."""
    rng, live, outcome = Random(settings.seed), Live(), Outcome(settings.rate)
    values = Values(settings.keys, rng)
    arguments = (settings.driver, settings.threads, settings.memcached, settings.rate, directory)
    async with fleet(*arguments, settings.proxies) as whole, connected(whole.proxy.port) as client:
        await store(client, [*values.expected], "first")
        server, port, over = rng.choice(whole.servers), whole.proxy.port, asyncio.Event()
        async with beside(*(live.work(port, Random(i)) for i in range(CLIENTS))):
            churning = asyncio.create_task(values.churn(port, over))
            await asyncio.sleep(CALM_S / 2)
            live.take()
            async with _measured(whole.proxy, outcome.cpu):
                await asyncio.sleep(CALM_S)
            outcome.before = live.take()
            (server.kill if settings.fault == "kill" else server.pause)()
            await values.change(client, values.away, "second")
            if not await whole.until(server, "is out of service", RETURN_S):
                raise TimeoutError(f"{server.address} is still in service")
            (server.restart if settings.fault == "kill" else server.resume)()
            async with _measured(whole.proxy, outcome.cpu):
                await _back(settings, whole, server, live, outcome)
            over.set()
            await churning
        outcome.errors = live.errors
        await _compare(whole, server, values, outcome)
        outcome.lines = [line for each in (whole, *whole.others) for line in each.said(server, "")]
    return outcome


async def _back(
    settings: Settings, whole: Fleet, server: MemcachedServer, live: Live, outcome: Outcome
) -> None:
    clock = asyncio.get_running_loop().time
    if not await whole.until(server, "serves again", RETURN_S):
        raise TimeoutError(f"{server.address} is still out of service")
    live.take()
    outcome.away_s = float(whole.said(server, "serves again")[0].partition(" after ")[2].split()[0])
    begun_at = clock()
    if settings.fault == "kill":
        # Half of the keys have a copy there.
        most_s = (settings.keys + LIVE_KEYS) * 0.75 / settings.rate + settings.margin_s
        for each in (whole, *whole.others):
            await each.until(server, "has its keys again", most_s)
    else:
        await asyncio.sleep(CALM_S)
    outcome.took_s = clock() - begun_at
    outcome.meanwhile = live.take()


async def _compare(whole: Fleet, server: MemcachedServer, values: Values, outcome: Outcome) -> None:
    owned = [key for key in values.expected if server in whole.owners(key)]
    before = await _read_twins(whole, server, owned)
    own = await read_items(server, owned)
    after = await _read_twins(whole, server, owned)
    churned = {*values.churned}
    for key in owned:
        expected, is_untouched = values.expected[key], key in values.untouched
        outcome.owned += expected is not None
        outcome.untouched += is_untouched
        if (item := own.get(key)) is None:
            continue
        outcome.back += 1
        outcome.untouched_back += is_untouched
        if item.value != expected:
            outcome.old.append(f"{key}: {item.value!r} instead of {expected!r}")
        elif key in churned:
            # Clients wrote it to both servers.
            continue
        elif key in before and key in after and not _are_alike(item, before[key], after[key]):
            outcome.wrong_lives.append(f"{key}: {item}; at the twin {before[key]}, then {after[key]}")


async def _read_twins(whole: Fleet, server: MemcachedServer, keys: Sequence[str]) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for twin in whole.servers:
        if twin is not server:
            found |= await read_items(twin, [key for key in keys if twin in whole.owners(key)])
    return found


def _are_alike(item: Item, before: Item, after: Item) -> bool:
    """Two servers' seconds begin at different times, and no copy may outlive its source.

    So a copy ends up to two seconds earlier, never later.
    """
    if item.flags != after.flags or -1 in (item.ttl_s, after.ttl_s):
        return item == after
    return after.ttl_s - 2 <= item.ttl_s <= before.ttl_s


def main() -> int:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--fault", default=Settings.fault, choices=("kill", "stop"))
    known.add_argument("--keys", type=int, default=Settings.keys)
    known.add_argument("--rate", type=float, default=Settings.rate, help="warming.keys_per_s")
    known.add_argument("--driver", default=Settings.driver, choices=("native", "asyncio"))
    known.add_argument("--threads", type=int, default=Settings.threads)
    known.add_argument("--memcached", help="the binary; $MEMCACHED, or the one on the PATH")
    known.add_argument("--seed", type=int, default=Settings.seed)
    known.add_argument("--proxies", type=int, default=1, help="the others have no clients")
    known.add_argument("--runs", type=int, default=1, help="with this seed and the next ones")
    options = vars(known.parse_args())
    runs, settings = options.pop("runs"), Settings(**options)
    outcomes = []
    for seed in range(settings.seed, settings.seed + runs):
        with tempfile.TemporaryDirectory() as directory:
            outcomes.append(asyncio.run(warming(replace(settings, seed=seed), Path(directory))))
        print(outcomes[-1].report(), flush=True)
        for fault in (outcomes[-1].old + outcomes[-1].wrong_lives)[:20]:
            print(fault)
    if runs > 1:
        before = [time_s for outcome in outcomes for time_s in outcome.before]
        meanwhile = [time_s for outcome in outcomes for time_s in outcome.meanwhile]
        share = sum(outcome.back for outcome in outcomes) / sum(outcome.owned for outcome in outcomes)
        print(
            f"all: {100 * share:.2f} % back; p99 {1000 * quantile(before, 0.99):.2f} ms before, "
            f"{1000 * quantile(meanwhile, 0.99):.2f} ms meanwhile, "
            f"p50 {1000 * quantile(before, 0.5):.2f} and {1000 * quantile(meanwhile, 0.5):.2f} ms"
        )
    return 1 if any(outcome.old or outcome.wrong_lives for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
