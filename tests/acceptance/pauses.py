"""Locks, counters and cas while servers stop and go on: does a command that must not run twice run twice?

    python -m tests.acceptance.pauses --pauses 1000 [--driver asyncio] [--threads 2] [--seed 1]
    python -m tests.acceptance.pauses --refills 1000 --kinds replace --shortest 0.44 --longest 0.6

There are several pools of three servers, and two copies of each key. One server of a pool has a pause at a
time; the next one when all serve again. Clients on many connections contend for few keys. With the options
of the second line both copies have the value, and servers go on just when reads turn to the other copy. A
*second success* is a lock that a client gets while another one holds it, a number that two increments are
told, or a version that two cas have replaced. Unknown outcomes (errors) are no success; a key that has one,
or that is lost, is given up, and another one begun. Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from mcroute.testing import MemcachedServer, free_port

from .clients import Client
from .service import Service, service

__all__ = ("Settings", "Tally", "run")

POOLS = "abcd"
SERVERS = 3  # of each pool
KEYS = 2  # of each kind and pool at a time
KINDS = ("lock", "count", "replace")
# For so long after it continues, a server may still be ejected for its silence.
AFTERMATH_S = 0.3
HELD_S = 0.02
REFILL_HOLD_OFF_S = 0.05
REPLY_S = 30.0


@dataclass(frozen=True)
class Settings:
    pauses: int = 1000
    driver: str = "native"
    threads: int = 2
    clients: int = 24
    shortest_s: float = 0.0  # of a pause
    longest_s: float = 1.2
    kinds: tuple[str, ...] = KINDS
    refills: float = 0.0  # keys a second that reads copy back
    seed: int = 1


@dataclass
class Tally:
    """The answers that clients got, and the second successes among them."""

    replies: Counter[str] = field(default_factory=Counter)
    second: list[str] = field(default_factory=list)
    pauses: int = 0
    ejections: int = 0
    out: set[str] = field(default_factory=set)  # servers out of service, by address


@dataclass
class Key:
    """One of several that clients contend for; `name` changes when its state is not known any more."""

    stem: str
    life: int = 0

    @property
    def name(self) -> str:
        return f"{self.stem}.{self.life}"

    def give_up(self, name: str) -> None:
        """Unless another client has done so already."""
        if name == self.name:
            self.life += 1


# ---- clients ----


@dataclass
class Contender:
    """A client's connection, and the knowledge that all clients share."""

    number: int
    client: Client
    tally: Tally
    rng: Random
    holders: dict[str, set[int]]
    numbers: dict[str, dict[int, float]]  # by counter: numbers, and the times of their answers
    replaced: dict[tuple[str, str], int]  # key and value: who has replaced it
    adds: int = 0

    async def line(self, kind: str, request: str) -> str:
        reply = (await asyncio.wait_for(self.client.ask(request.encode()), REPLY_S)).decode().strip()
        self.tally.replies[f"{kind} {'a number' if reply.isdecimal() else reply}"] += 1
        return reply

    async def lock(self, key: Key) -> None:
        name = key.name
        reply = await self.line("add", f"add {name} 0 60 3\r\nc{self.number:02}\r\n")
        if reply.startswith("SERVER_ERROR"):
            key.give_up(name)
        if reply != "STORED":
            return
        held = self.holders.setdefault(name, set())
        if held:
            self.tally.second.append(f"lock {name}: client {self.number}, and {sorted(held)}")
        held.add(self.number)
        await asyncio.sleep(HELD_S)
        # Before the delete is sent: one with an unknown outcome may let the next client add the key too.
        held.discard(self.number)
        reply = await self.line("delete", f"delete {name}\r\n")
        if reply != "DELETED":
            key.give_up(name)

    async def count(self, key: Key) -> None:
        name = key.name
        if name not in self.numbers:
            self.numbers[name] = {}
            if await self.line("set", f"set {name} 0 60 1\r\n0\r\n") != "STORED":
                key.give_up(name)
            return
        began = time.monotonic()
        reply = await self.line("incr", f"incr {name} 1\r\n")
        if not reply.isdecimal():
            if reply.startswith("SERVER_ERROR") or self.numbers[name]:
                key.give_up(name)
            return
        number, known = int(reply), self.numbers[name]
        if number in known:
            self.tally.second.append(f"counter {name}: {number} was given twice")
        elif any(number < other and at < began for other, at in known.items()):
            self.tally.second.append(f"counter {name}: {number} after a greater number")
        known[number] = time.monotonic()

    async def replace(self, key: Key) -> None:
        name = key.name
        header = (await self.client.ask(f"gets {name}\r\n".encode())).decode().split()
        if header[0] == "END":
            # Of its own, so that the versions of a key that was lost, and is added anew, are others.
            added = f"c{self.number:02}a{self.adds}:0"
            self.adds += 1
            await self.line("add", f"add {name} 0 60 {len(added)}\r\n{added}\r\n")
            return
        if header[0] != "VALUE":
            key.give_up(name)
            return
        value = (await self.client.reader.readexactly(int(header[3]))).decode()
        await self.client.reader.readexactly(len("\r\nEND\r\n"))
        added, _, version = value.partition(":")
        text = f"{added}:{int(version) + 1}"
        reply = await self.line("cas", f"cas {name} 0 60 {len(text)} {header[4]}\r\n{text}\r\n")
        if reply == "STORED":
            if (before := self.replaced.get((name, value))) is not None:
                self.tally.second.append(f"cas {name}: {value} by clients {before} and {self.number}")
            self.replaced[name, value] = self.number
        elif reply.startswith("SERVER_ERROR"):
            key.give_up(name)

    async def work(self, port: int, keys: dict[str, list[Key]], over: asyncio.Event) -> None:
        steps: dict[str, Callable[[Key], Awaitable[None]]]
        steps = {"lock": self.lock, "count": self.count, "replace": self.replace}
        while not over.is_set():
            kind = self.rng.choice(list(keys))
            await steps[kind](self.rng.choice(keys[kind]))
            await asyncio.sleep(0.02 * self.rng.random())
        self.client.writer.close()


# ---- servers ----


async def _pause(servers: list[MemcachedServer], tally: Tally, settings: Settings, rng: Random) -> None:
    """One server of a pool after the other."""
    addresses = {server.address for server in servers}
    while tally.pauses < settings.pauses:
        server = rng.choice(servers)
        server.pause()
        tally.pauses += 1
        # Most pauses end before the proxy notices, or when requests have just timed out.
        await asyncio.sleep(rng.uniform(settings.shortest_s, settings.longest_s))
        server.resume()
        calm_since = time.monotonic()
        while time.monotonic() - calm_since < AFTERMATH_S:
            if tally.out & addresses:
                calm_since = time.monotonic()
            await asyncio.sleep(0.02)


async def _listen(proxy: Service, tally: Tally) -> None:
    while line := await proxy.line():
        _, _, rest = line.partition(" WARNING server ")
        address = rest.partition(" ")[0]
        if " is out of service: " in line:
            tally.ejections += 1
            tally.out.add(address)
        elif " serves again" in line:
            tally.out.discard(address)


def _configuration(port: int, pools: dict[str, list[MemcachedServer]], refills: float) -> str:
    replicate = {pool: f'{{ type = "replicate", pool = "{pool}", copies = 2 }}' for pool in pools}
    routes = ", ".join(f'"{pool}" = {route}' for pool, route in replicate.items())
    lines = [
        f'route = {{ type = "by_prefix", routes = {{ {routes} }}, default = {replicate["a"]} }}',
        f'[proxy]\nlisten = "127.0.0.1:{port}"\nrefill_keys_per_s = {refills}',
        f"refill_hold_off_s = {REFILL_HOLD_OFF_S}",
        "[health]\nretry_base_s = 0.1\nretry_cap_s = 0.2",
    ]
    for pool, servers in pools.items():
        members = ", ".join(f'"{server.address}"' for server in servers)
        lines.append(f"[pools.{pool}]\nservers = [{members}]\ndeadline_s = 2.0")
    return "\n".join(lines)


async def run(settings: Settings, directory: Path) -> Tally:
    rng, port, tally = Random(settings.seed), free_port(), Tally()
    with contextlib.ExitStack() as stack:
        pools = {
            pool: [stack.enter_context(MemcachedServer("-m", "64")) for _ in range(SERVERS)] for pool in POOLS
        }
        text = _configuration(port, pools, settings.refills)
        file = directory / "mcroute.toml"
        async with service(settings.driver, file, text, port, settings.threads) as proxy:
            log = asyncio.create_task(_listen(proxy, tally))
            keys = {
                kind: [Key(f"{pool}:{kind}{i}") for pool in POOLS for i in range(KEYS)]
                for kind in settings.kinds
            }
            shared: tuple[dict, dict, dict] = ({}, {}, {})
            over = asyncio.Event()
            contenders = [
                Contender(i, await Client.to(proxy), tally, Random(rng.random()), *shared)
                for i in range(settings.clients)
            ]
            working = [asyncio.create_task(c.work(port, keys, over)) for c in contenders]
            pausing = (_pause(s, tally, settings, Random(rng.random())) for s in pools.values())
            await asyncio.gather(*pausing)
            over.set()
            await asyncio.gather(*working)
            log.cancel()
    return tally


def main() -> int:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--pauses", type=int, default=Settings.pauses)
    known.add_argument("--driver", default=Settings.driver, choices=("native", "asyncio"))
    known.add_argument("--threads", type=int, default=Settings.threads)
    known.add_argument("--clients", type=int, default=Settings.clients)
    known.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    known.add_argument("--shortest", type=float, default=Settings.shortest_s, dest="shortest_s", metavar="S")
    known.add_argument("--longest", type=float, default=Settings.longest_s, dest="longest_s", metavar="S")
    known.add_argument("--refills", type=float, default=Settings.refills, metavar="KEYS_PER_S")
    known.add_argument("--seed", type=int, default=Settings.seed)
    settings = Settings(**vars(known.parse_args()))
    with tempfile.TemporaryDirectory() as directory:
        tally = asyncio.run(run(settings, Path(directory)))
    print(f"pauses            {tally.pauses}, ejections {tally.ejections}")
    for reply, count in sorted(tally.replies.items()):
        print(f"  {count:8} {reply}")
    print(f"second successes  {len(tally.second)}")
    for fault in tally.second[:50]:
        print("  ", fault)
    return 1 if tally.second else 0


if __name__ == "__main__":
    sys.exit(main())
