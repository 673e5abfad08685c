"""How long a second proxy reads old values of a server that was stopped and goes on.

    python -m tests.acceptance.windows --returns 200 [--memcached PATH] [--driver asyncio] [--busy]

Two proxies know nothing of each other. One writes while a server is stopped; the other has sent nothing
meanwhile, or with `--busy` reads and writes keys of its own. When the server goes on, the other proxy reads
the written keys until no old value has been seen for a while. The window of a return is the time from the end
of the stop to the last old value that was read.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from mcroute.testing import MemcachedServer, free_port

from .load import Connection, Failed, connected
from .service import service
from .soak import beside

__all__ = ("Outcome", "Settings", "windows")

KEYS = 20
# Seconds without an old value, after which the return is over.
QUIET_S = 0.5
RETURN_S = 60.0


@dataclass(frozen=True)
class Settings:
    returns: int = 200
    # Seconds that a server is stopped: at least, at most.
    stop_s: tuple[float, float] = (0.3, 2.0)
    is_busy: bool = False
    driver: str = "native"
    threads: int = 2
    memcached: str | None = None
    seed: int = 1


@dataclass
class Outcome:
    windows: list[float] = field(default_factory=list)  # seconds; 0 without an old value
    returns: list[float] = field(
        default_factory=list
    )  # seconds from the end of the stop to the return to service

    def quantile(self, share: float) -> float:
        ordered = sorted(self.windows)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def report(self) -> str:
        old = sum(window > 0 for window in self.windows)
        times = sorted(self.returns)
        return (
            f"{len(self.windows)} returns: old values after {old}; window "
            f"{self.quantile(0.5):.3f} s in the median, {self.quantile(0.99):.3f} s in 99 of 100, "
            f"{max(self.windows):.3f} s at most; "
            f"back in service after {times[len(times) // 2]:.3f} s in the median, longest {times[-1]:.3f} s"
        )


def _text(port: int, servers: Sequence[MemcachedServer]) -> str:
    members = ", ".join(f'"{server.address}"' for server in servers)
    return f"""
        route = {{ type = "replicate", pool = "main", copies = 2 }}
        [proxy]
        listen = "127.0.0.1:{port}"
        [pools.main]
        servers = [{members}]
        reply_timeout_s = 0.1
        deadline_s = 5
        [health]
        # So that each stop counts as the first one, and the next return need not wait.
        flap_window_s = 0
    """


async def _row(client: Connection, row: str) -> str:
    return (await client.stats("servers"))[row]


async def _work(port: int, rng: Random) -> None:
    """Reads and writes keys that nobody else uses."""
    async with connected(port) as client:
        while True:
            key = f"own{rng.randrange(100)}"
            with contextlib.suppress(Failed):
                await (client.set(key, b"x") if rng.random() < 0.3 else client.get(key))
            await asyncio.sleep(0.01 * rng.random())


async def _cycle(
    one: Connection, other: Connection, server: MemcachedServer, turn: int, rng: Random, settings: Settings
) -> tuple[float, float]:
    clock = asyncio.get_running_loop().time
    keys = [f"k{i}" for i in range(KEYS)]
    old, new = b"%d" % (2 * turn), b"%d" % (2 * turn + 1)
    for key in keys:
        await one.set(key, old)
    server.pause()
    for key in keys:
        # The first ones wait for the server; it misses the others.
        await one.set(key, new)
    await asyncio.sleep(rng.uniform(*settings.stop_s))
    for key in keys:
        await one.set(key, new)
    server.resume()
    resumed_at = last = clock()
    window, back = 0.0, None
    while back is None or clock() < last + QUIET_S:
        for key in keys:
            asked_at = clock()
            with contextlib.suppress(Failed):
                if await other.get(key) == old:
                    window, last = asked_at - resumed_at, clock()
        if back is None and await _row(one, f"{server.address}:state") == "up":
            back = clock() - resumed_at
        if clock() > resumed_at + RETURN_S:
            raise TimeoutError(f"{server.address} is still out of service")
        await asyncio.sleep(0.002)
    return window, back


@contextlib.asynccontextmanager
async def _proxies(
    settings: Settings, directory: Path, servers: Sequence[MemcachedServer]
) -> AsyncIterator[list[int]]:
    ports = [free_port(), free_port()]
    async with contextlib.AsyncExitStack() as stack:
        for port in ports:
            file = directory / f"{port}.toml"
            text = _text(port, servers)
            proxy = await stack.enter_async_context(
                service(settings.driver, file, text, port, settings.threads)
            )
            assert proxy.process.stderr is not None
            await stack.enter_async_context(beside(_drain(proxy.process.stderr)))
        yield ports


async def _drain(log: asyncio.StreamReader) -> None:
    while line := await log.readline():
        if VERBOSE:
            print(line.decode().rstrip(), file=sys.stderr)


VERBOSE = False


async def windows(settings: Settings, directory: Path) -> Outcome:
    """Raises TimeoutError if a server does not come back into service."""
    rng, outcome = Random(settings.seed), Outcome()
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(MemcachedServer("-t", "2", binary=settings.memcached)) for _ in range(3)
        ]
        async with _proxies(settings, directory, servers) as ports, contextlib.AsyncExitStack() as more:
            one, other = [await more.enter_async_context(connected(port)) for port in ports]
            if settings.is_busy:
                await more.enter_async_context(beside(_work(ports[1], Random(settings.seed))))
            for turn in range(settings.returns):
                window, back = await _cycle(one, other, rng.choice(servers), turn, rng, settings)
                outcome.windows.append(window)
                outcome.returns.append(back)
                while settings.is_busy and not await _all_up(other, servers):
                    await asyncio.sleep(0.02)
    return outcome


async def _all_up(client: Connection, servers: Sequence[MemcachedServer]) -> bool:
    rows = await client.stats("servers")
    return all(rows[f"{server.address}:state"] == "up" for server in servers)


def main() -> int:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--returns", type=int, default=Settings.returns)
    known.add_argument("--busy", dest="is_busy", action="store_true", help="the other proxy has requests")
    known.add_argument("--driver", default=Settings.driver, choices=("native", "asyncio"))
    known.add_argument("--threads", type=int, default=Settings.threads)
    known.add_argument("--memcached", help="the binary; $MEMCACHED, or the one on the PATH")
    known.add_argument("--seed", type=int, default=Settings.seed)
    known.add_argument("--verbose", action="store_true")
    options = vars(known.parse_args())
    global VERBOSE
    VERBOSE = options.pop("verbose")
    with tempfile.TemporaryDirectory() as directory:
        outcome = asyncio.run(windows(Settings(**options), Path(directory)))
    print(outcome.report())
    return 0


if __name__ == "__main__":
    sys.exit(main())
