"""How many requests wait when a server is stopped, with hedged reads and without.

    python -m tests.acceptance.stops --stops 50 [--driver asyncio] [--writes 0.1] [--reply-timeout 0.5]

Four servers, two copies of each key, requests at a fixed rate, each on an idle connection. One server at a
time is stopped (SIGSTOP) for a while. Of each stop, the requests that began during it are counted: those that
took longer than 100 ms, and those that failed. The table has the median and the worst of all stops.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from mcroute.testing import MemcachedServer, free_port

from .clients import Client
from .paced import PacedLoad, fill
from .service import Service, service
from .soak import beside

__all__ = ("Outcome", "Settings", "stops")

KEYS = 200
SERVERS = 4
LATE_S = 0.1
# After a return, so that the hedge budget and the percentile are as usual.
CALM_S = 1.0
RETURN_S = 60.0


@dataclass(frozen=True)
class Settings:
    stops: int = 50
    rate: float = 300.0  # requests a second
    stop_s: float = 1.0
    writes: float = 0.0  # the share of the requests
    hedge_after_s: float = 0.002
    reply_timeout_s: float = 0.5
    driver: str = "native"
    threads: int = 2
    seed: int = 1


@dataclass
class Outcome:
    """Of each stop: requests, and those that were late or failed."""

    requests: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    longest_s: float = 0.0
    stats: dict[str, str] = field(default_factory=dict)

    def row(self, name: str) -> str:
        late = sorted(self.late)
        hedges = f"{self.stats['hedges']} of {self.stats['requests']}"
        return (
            f"| {name} | {len(late)} | {late[len(late) // 2]} | {late[-1]} | {sum(self.failed)} "
            f"| {self.longest_s:.2f} s | {hedges} |"
        )


HEAD = """\
| | stops | requests > 100 ms: median | worst | misses, errors | longest request | hedges, of all requests |
|---|---|---|---|---|---|---|"""


async def _stopped(load: PacedLoad, server: MemcachedServer, seconds: float, outcome: Outcome) -> None:
    """Stops the server for a while."""
    load.begin()
    server.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        load.end()
        server.resume()
    await asyncio.sleep(CALM_S)
    outcome.requests.append(len(load.times) + load.failed)
    outcome.late.append(sum(time > LATE_S for time in load.times))
    outcome.failed.append(load.failed)
    outcome.longest_s = max(outcome.longest_s, *load.times)


def _text(port: int, servers: Sequence[MemcachedServer], settings: Settings) -> str:
    members = ", ".join(f'"{server.address}"' for server in servers)
    return f"""
        route = "main"
        [proxy]
        listen = "127.0.0.1:{port}"
        [pools.main]
        servers = [{members}]
        copies = 2
        hedge_after_s = {settings.hedge_after_s}
        reply_timeout_s = {settings.reply_timeout_s}
        [health]
        # So that each stop counts as the first one, and the next return need not wait.
        flap_window_s = 0
    """


async def _drain(log: asyncio.StreamReader) -> None:
    while await log.readline():
        pass


async def _all_up(client: Client, servers: Sequence[MemcachedServer]) -> None:
    clock = asyncio.get_running_loop().time
    until = clock() + RETURN_S
    while True:
        rows = await client.stats("servers")
        if all(rows[f"{server.address}:state"] == "up" for server in servers):
            return
        if clock() > until:
            raise TimeoutError("a server is still out of service")
        await asyncio.sleep(0.05)


async def _run(proxy: Service, servers: Sequence[MemcachedServer], settings: Settings) -> Outcome:
    rng, outcome = Random(settings.seed), Outcome()
    client = await Client.to(proxy)
    await fill(client, KEYS)
    load = PacedLoad(proxy.port, settings.rate, settings.writes, KEYS, rng)
    async with beside(load.run()):
        for _ in range(settings.stops):
            await _all_up(client, servers)
            await asyncio.sleep(CALM_S)
            await _stopped(load, rng.choice(servers), settings.stop_s, outcome)
    outcome.stats = await client.stats()
    await load.close()
    await client.close()
    return outcome


async def stops(settings: Settings, directory: Path) -> Outcome:
    """Raises TimeoutError if a server does not come back into service."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(MemcachedServer("-t", "1")) for _ in range(SERVERS)]
        text = _text(port, servers, settings)
        async with service(settings.driver, directory / "proxy.toml", text, port, settings.threads) as proxy:
            assert proxy.process.stderr is not None
            async with beside(_drain(proxy.process.stderr)):
                return await _run(proxy, servers, settings)


def main() -> int:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--stops", type=int, default=Settings.stops)
    known.add_argument("--rate", type=float, default=Settings.rate)
    known.add_argument("--writes", type=float, default=Settings.writes, help="the share of the requests")
    known.add_argument(
        "--reply-timeout", type=float, default=Settings.reply_timeout_s, dest="reply_timeout_s"
    )
    known.add_argument("--driver", default=Settings.driver, choices=("native", "asyncio"))
    known.add_argument("--threads", type=int, default=Settings.threads)
    known.add_argument("--seed", type=int, default=Settings.seed)
    settings = Settings(**vars(known.parse_args()))
    print(HEAD)
    for name, hedge_after_s in (("without hedges", 0.0), ("hedged", Settings.hedge_after_s)):
        with tempfile.TemporaryDirectory() as directory:
            outcome = asyncio.run(stops(replace(settings, hedge_after_s=hedge_after_s), Path(directory)))
        print(outcome.row(f"{settings.driver}, {name}"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
