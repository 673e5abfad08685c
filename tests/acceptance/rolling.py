"""All servers are restarted, one after the other, each empty: which share of the values is left?

    python -m tests.acceptance.rolling [--keys 5000] [--rate 1000] [--memcached PATH] [--driver asyncio]

Each key has two copies on four servers. After each restart the next one waits until the server has had the
time that the rate allows; with `--rate 0`, until it serves.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from mcroute.testing import MemcachedServer

from .load import connected
from .warming import ASKED_AT_ONCE, MARGIN_S, RETURN_S, Fleet, fleet, read_items

__all__ = ("Outcome", "Settings", "rolling")


@dataclass(frozen=True)
class Settings:
    keys: int = 5000
    rate: float = 1000.0
    driver: str = "native"
    threads: int = 2
    memcached: str | None = None
    margin_s: float = MARGIN_S


@dataclass
class Outcome:
    keys: int
    left: list[int] = field(default_factory=list)  # values that a server holds, after each restart
    copies: list[int] = field(default_factory=list)  # values that both of their servers hold
    times_s: list[float] = field(default_factory=list)  # from each restart to the next one
    read: int = 0  # values that a client reads at the end

    def report(self) -> str:
        def shares(counts: list[int]) -> str:
            return ", ".join(f"{100 * count / self.keys:.2f} %" for count in counts)

        times = ", ".join(f"{time_s:.1f}" for time_s in self.times_s)
        return (
            f"of {self.keys} values a client reads {100 * self.read / self.keys:.2f} % at the end; after "
            f"each restart {shares(self.left)} are left, {shares(self.copies)} twice; seconds: {times}"
        )


async def rolling(settings: Settings, directory: Path) -> Outcome:
    """Raises TimeoutError if a server does not come back into service, or does not get its keys in time."""
    outcome = Outcome(settings.keys)
    keys = [f"key:{i}" for i in range(settings.keys)]
    arguments = (settings.driver, settings.threads, settings.memcached, settings.rate, directory)
    clock = asyncio.get_running_loop().time
    async with fleet(*arguments) as whole, connected(whole.proxy.port) as client:
        for key in keys:
            await client.set(key, key.encode())
        for server in whole.servers:
            begun_at = clock()
            await _restart(settings, whole, server)
            outcome.times_s.append(clock() - begun_at)
            await _count(whole, keys, outcome)
        for first in range(0, len(keys), ASKED_AT_ONCE):
            items = await client.get_many(keys[first : first + ASKED_AT_ONCE])
            outcome.read += sum(items[key] == key.encode() for key in items)
    return outcome


async def _count(whole: Fleet, keys: list[str], outcome: Outcome) -> None:
    """Asks the servers, since a read through the proxy would have the value copied."""
    found = dict.fromkeys(keys, 0)
    for server in whole.servers:
        for key in await read_items(server, [key for key in keys if server in whole.owners(key)]):
            found[key] += 1
    outcome.left.append(sum(count > 0 for count in found.values()))
    outcome.copies.append(sum(count == 2 for count in found.values()))


async def _restart(settings: Settings, whole: Fleet, server: MemcachedServer) -> None:
    server.kill()
    if not await whole.until(server, "is out of service", RETURN_S):
        raise TimeoutError(f"{server.address} is still in service")
    server.restart()
    if not await whole.until(server, "serves again", RETURN_S):
        raise TimeoutError(f"{server.address} is still out of service")
    if settings.rate:
        most_s = settings.keys * 0.75 / settings.rate + settings.margin_s
        if not await whole.until(server, "has its keys again", most_s):
            raise TimeoutError(f"{server.address} has not got its keys within {most_s:g} s")


def main() -> int:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--keys", type=int, default=Settings.keys)
    known.add_argument("--rate", type=float, default=Settings.rate, help="warming.keys_per_s; 0: off")
    known.add_argument("--driver", default=Settings.driver, choices=("native", "asyncio"))
    known.add_argument("--threads", type=int, default=Settings.threads)
    known.add_argument("--memcached", help="the binary; $MEMCACHED, or the one on the PATH")
    settings = Settings(**vars(known.parse_args()))
    with tempfile.TemporaryDirectory() as directory:
        print(asyncio.run(rolling(settings, Path(directory))).report())
    return 0


if __name__ == "__main__":
    sys.exit(main())
