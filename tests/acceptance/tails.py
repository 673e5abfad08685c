"""What hedged reads gain and cost when one server answers a share of its requests late.

    python -m tests.acceptance.tails --seconds 60 [--driver asyncio] [--delay 0.05] [--share 0.01]

Four servers behind relays, two copies of each key, reads at a fixed rate. One relay delays a share
of the replies. The load on the servers is by their own counters (`cmd_get`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from mcroute.testing import MemcachedServer, Relay, free_port

from .clients import Client
from .paced import PacedLoad, fill
from .service import service
from .soak import beside

__all__ = ("Outcome", "Settings", "tails")

KEYS = 200
SERVERS = 4
# Until the percentile of the replies is known.
CALM_S = 2.0


@dataclass(frozen=True)
class Settings:
    seconds: float = 60.0
    rate: float = 300.0
    delay_s: float = 0.05
    share: float = 0.01
    hedge_after_s: float = 0.002
    driver: str = "native"
    threads: int = 2
    seed: int = 1


@dataclass
class Outcome:
    times: list[float]
    failed: int
    asked: int  # gets at all servers
    requests: int

    def quantile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def row(self, name: str) -> str:
        times = " | ".join(f"{1e3 * self.quantile(share):.1f} ms" for share in (0.5, 0.99, 0.999))
        extra = self.asked / self.requests - 1
        return f"| {name} | {self.requests} | {times} | {100 * extra:.1f} % | {self.failed} |"


HEAD = """\
| | reads | p50 | p99 | p99.9 | extra load | errors |
|---|---|---|---|---|---|---|"""


def _text(port: int, relays: list[Relay], settings: Settings) -> str:
    members = ", ".join(f'"{relay.address}"' for relay in relays)
    return f"""
        route = "main"
        [proxy]
        listen = "127.0.0.1:{port}"
        [pools.main]
        servers = [{members}]
        copies = 2
        hedge_after_s = {settings.hedge_after_s}
    """


async def _gets(servers: list[MemcachedServer]) -> int:
    total = 0
    for server in servers:
        client = await Client.to(server)
        total += int((await client.stats())["cmd_get"])
        await client.close()
    return total


async def _drain(log: asyncio.StreamReader) -> None:
    while await log.readline():
        pass


async def tails(settings: Settings, directory: Path) -> Outcome:
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        servers = [stack.enter_context(MemcachedServer("-t", "1")) for _ in range(SERVERS)]
        relays = [stack.enter_context(Relay((server.host, server.port))) for server in servers]
        text = _text(port, relays, settings)
        proxy = await stack.enter_async_context(
            service(settings.driver, directory / "proxy.toml", text, port, settings.threads)
        )
        assert proxy.process.stderr is not None
        await stack.enter_async_context(beside(_drain(proxy.process.stderr)))
        client = await Client.to(proxy)
        await fill(client, KEYS)
        load = PacedLoad(port, settings.rate, 0.0, KEYS, Random(settings.seed))
        async with beside(load.run()):
            await asyncio.sleep(CALM_S)
            relays[0].delay_s, relays[0].delay_share = settings.delay_s, settings.share
            before = await _gets(servers), int((await client.stats())["cmd_get"])
            load.begin()
            await asyncio.sleep(settings.seconds)
            load.end()
            after = await _gets(servers), int((await client.stats())["cmd_get"])
            await asyncio.sleep(1)
        await load.close()
        await client.close()
    return Outcome(load.times, load.failed, after[0] - before[0], after[1] - before[1])


def main() -> int:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--seconds", type=float, default=Settings.seconds)
    known.add_argument("--rate", type=float, default=Settings.rate)
    known.add_argument("--delay", type=float, default=Settings.delay_s, dest="delay_s")
    known.add_argument("--share", type=float, default=Settings.share)
    known.add_argument("--driver", default=Settings.driver, choices=("native", "asyncio"))
    known.add_argument("--threads", type=int, default=Settings.threads)
    known.add_argument("--seed", type=int, default=Settings.seed)
    settings = Settings(**vars(known.parse_args()))
    print(HEAD)
    for name, hedge_after_s in (("without hedges", 0.0), ("hedged", Settings.hedge_after_s)):
        with tempfile.TemporaryDirectory() as directory:
            outcome = asyncio.run(tails(replace(settings, hedge_after_s=hedge_after_s), Path(directory)))
        print(outcome.row(f"{settings.driver}, {name}"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
