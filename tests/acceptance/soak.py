"""The proxy under load for as long as wanted: servers are killed, stopped and return, plans are reloaded.

    python -m tests.acceptance.soak --seconds 600 [--driver asyncio] [--seed 1]

Clients check every value that they read. There are two copies of each key, and one server at a time has a
fault: no request may fail, no value be wrong or old, none be missing that one of its servers still has. At
the end memory and descriptors of the proxy must be what they were. Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from mcroute.testing import MemcachedServer, free_port

from .outages import Faults, Outages, is_of_a_fault
from .service import Service, service
from .soak_clients import SoakTally, SoakWriter

__all__ = ("Outcome", "Settings", "beside", "soak")

SERVERS = 4
SAMPLES = 200
# The share of a run that is warm-up.
WARM_UP = 0.25
# The allowed growth of the rest from its first quarter to its last.
GROWTH_MAX, GROWTH_MAX_KIB = 0.05, 2048
SETTLE_S = 10.0
# Descriptors that uvloop and others open once and keep open.
DESCRIPTORS_KEPT = 2


@dataclass(frozen=True)
class Settings:
    seconds: float = 600.0
    driver: str = "native"
    threads: int = 2
    clients: int = 50
    pause_s: float = 0.05  # of a client after each step, on average
    longest_fault_s: float = 4.0
    seed: int = 1


# ---- the proxy ----


@dataclass
class Watch:
    """The proxy's log, and the system's data on its process."""

    proxy: Service
    outages: Outages
    out: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    rss_kib: list[int] = field(default_factory=list)
    undue: Counter[str] = field(default_factory=Counter)  # servers that had no fault
    odd: list[str] = field(default_factory=list)  # lines that a proxy in order does not write

    async def listen(self, faults: Faults) -> None:
        while line := (await self.proxy.line()).rstrip("\n"):
            _, is_server, rest = line.partition(" WARNING server ")
            address = rest.partition(" ")[0]
            if is_server and " is out of service: " in rest:
                self.counts["ejections"] += 1
                self.out.add(address)
                self.outages.begin(address)
                if address != faults.under:
                    self.undue[address] += 1
            elif is_server and " serves again" in rest:
                self.counts["returns"] += 1
                self.out.discard(address)
                if address != faults.under:
                    self.outages.end(address)
            elif is_server and is_of_a_fault(rest):
                self.counts["other lines about servers"] += 1
            elif " INFO server " in line:
                self.counts["lines about copied keys"] += 1
            elif " INFO reloaded: " in line:
                self.counts["reloads"] += 1
            else:
                self.odd.append(line)

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.proxy.process.pid}/fd"))

    async def measure(self, every_s: float) -> None:
        page_kib = os.sysconf("SC_PAGE_SIZE") // 1024
        while True:
            pages = Path(f"/proc/{self.proxy.process.pid}/statm").read_text().split()[1]
            self.rss_kib.append(int(pages) * page_kib)
            await asyncio.sleep(every_s)


def configurations(port: int, servers: list[MemcachedServer]) -> Iterator[str]:
    """One after the other; all of them place keys in the same way."""
    members = ", ".join(f'"{server.address}"' for server in servers)
    replicate = 'type = "replicate", pool = "main", copies = 2'
    number = 0
    while True:
        route = f"{{ {replicate} }}"
        if number % 3 == 1:
            route = f'{{ type = "by_prefix", routes = {{ "c1" = {route} }}, default = {route} }}'
        yield f"""
            route = {route}
            [proxy]
            listen = "127.0.0.1:{port}"
            [pools.main]
            servers = [{members}]
            reply_timeout_s = {0.5 + 0.1 * (number % 2)}
            deadline_s = 2.5
            [health]
            retry_base_s = 0.2
            retry_cap_s = 0.4
        """
        number += 1


async def _reload(proxy: Service, texts: Iterator[str], mean_s: float, rng: Random) -> None:
    while True:
        await asyncio.sleep(2 * mean_s * rng.random())
        proxy.hang_up(next(texts))


# ---- the run ----


@dataclass
class Outcome:
    tally: SoakTally
    watch: Watch
    faults: Faults
    descriptors: tuple[int, int]

    def quartiles(self) -> tuple[int, int]:
        """RSS in KiB, the medians of the first and of the last quarter after warming up."""
        warm = self.watch.rss_kib[int(WARM_UP * len(self.watch.rss_kib)) :]
        quarter = max(1, len(warm) // 4)
        return int(statistics.median(warm[:quarter])), int(statistics.median(warm[-quarter:]))

    def wrong(self) -> list[str]:
        """The errors of a run, whatever its length."""
        found = [f"wrong: {fault}" for fault in self.tally.wrong]
        found += [f"stale: {fault}" for fault in self.tally.stale]
        found += [f"lost: {fault}" for fault in self.tally.lost]
        found += [f"error: {error!r}" for error in self.tally.errors]
        found += [f"log: {line}" for line in self.watch.odd]
        if self.descriptors[1] > self.descriptors[0] + DESCRIPTORS_KEPT:
            found.append("descriptors: {} before, {} after".format(*self.descriptors))
        return found

    def grows(self) -> bool:
        first, last = self.quartiles()
        return last - first > max(GROWTH_MAX_KIB, GROWTH_MAX * first)

    def report(self) -> str:
        tally, watch = self.tally, self.watch
        errors = Counter(repr(error) for error in tally.errors)
        first, last = self.quartiles()
        rss = watch.rss_kib[:: max(1, len(watch.rss_kib) // 40)]
        return "\n".join(
            [
                f"requests        {tally.count}, slowest {tally.slowest:.2f} s",
                f"of which        {_counts(tally.kinds)}",
                f"wrong values    {len(tally.wrong)}",
                f"stale values    {len(tally.stale)}",
                f"errors          {len(tally.errors)}  {_counts(errors)}",
                f"lost            {len(tally.lost)}, of {tally.misses} misses after a value was stored",
                f"servers         {_counts(self.faults.counts)}",
                f"proxy           {_counts(watch.counts)}; without a fault: {_counts(watch.undue) or 'none'}",
                f"descriptors     {self.descriptors[0]} before the clients came, {self.descriptors[1]} after",
                f"RSS, KiB        {first} in the first quarter after warming up, {last} in the last",
                f"                {' '.join(map(str, rss))}",
            ]
        )


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))


@contextlib.asynccontextmanager
async def beside(*works: Awaitable[None]) -> AsyncIterator[None]:
    """Runs these until the end of the block. Raises what one of them has raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
    for error in done:
        if isinstance(error, Exception):
            raise error


async def _settled(watch: Watch, before: int) -> int:
    """The descriptors after clients have disconnected."""
    until = asyncio.get_running_loop().time() + SETTLE_S
    while watch.descriptors() > before + DESCRIPTORS_KEPT and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.1)
    return watch.descriptors()


async def soak(settings: Settings, directory: Path) -> Outcome:
    """Raises asyncio.TimeoutError if a server does not come back into service, or a client gets no reply."""
    rng = Random(settings.seed)
    port = free_port()
    with contextlib.ExitStack() as stack:
        # Nothing is to be evicted.
        servers = [stack.enter_context(MemcachedServer("-m", "1024")) for _ in range(SERVERS)]
        texts = configurations(port, servers)
        file = directory / "mcroute.toml"
        async with service(settings.driver, file, next(texts), port, settings.threads) as proxy:
            tally, over = SoakTally(), asyncio.Event()
            watch = Watch(proxy, tally.outages)
            faults = Faults(servers, tally.outages, watch.out, Random(rng.random()), settings.longest_fault_s)
            writers = [SoakWriter(port, i, settings.seed, tally) for i in range(settings.clients)]
            before = watch.descriptors()
            async with beside(
                watch.listen(faults),
                watch.measure(settings.seconds / SAMPLES),
                _reload(proxy, texts, settings.longest_fault_s, Random(rng.random())),
            ):
                asyncio.get_running_loop().call_later(settings.seconds, over.set)
                working = (writer.work(over, settings.pause_s) for writer in writers)
                everybody = asyncio.gather(faults.happen(over), *working)
                await asyncio.wait_for(everybody, settings.seconds + 60)
                after = await _settled(watch, before)
            return Outcome(tally, watch, faults, (before, after))


def main() -> int:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--seconds", type=float, default=Settings.seconds)
    known.add_argument("--driver", default=Settings.driver, choices=("native", "asyncio"))
    known.add_argument("--threads", type=int, default=Settings.threads)
    known.add_argument("--clients", type=int, default=Settings.clients)
    known.add_argument("--seed", type=int, default=Settings.seed)
    settings = Settings(**vars(known.parse_args()))
    with tempfile.TemporaryDirectory() as directory:
        outcome = asyncio.run(soak(settings, Path(directory)))
    print(outcome.report())
    for fault in outcome.wrong()[:50]:
        print(fault)
    if outcome.grows():
        print("the proxy's memory grows")
    return 1 if outcome.wrong() or outcome.grows() else 0


if __name__ == "__main__":
    sys.exit(main())
