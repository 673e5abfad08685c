"""Hours without a fault, on servers and a network as they are: python -m mcroute.simulation.peace --help.

Turns of servers have lognormal times and a tail, processes pause, segments get lost. No server may be put out
of service.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

import click

from ..client.on_asyncio import Client
from ..errors import McrouteError
from ..policy import Pool, Replicate, Route, Server
from .embedding import Simulation
from .faults import Fault
from .logs import logged_to
from .paths import Lognormal
from .servers import ServerOptions

__all__ = ("Hour", "hour_of", "peace")

HOUR_S = 3600.0
# One turn of a server: its median, the spread of its logarithm, and the share that takes up to 50 ms.
SERVICE = Lognormal(0.0001, 0.5, tail_share=0.01, tail_s=0.05)
# Of segments, each way.
LOSS_SHARE = 0.0001
# Pauses of a server's process: one in such a time on average, and each between these lengths.
PAUSE_EACH_S, PAUSE_LEAST_S, PAUSE_MOST_S = 60.0, 0.02, 0.4
# Requests a second, each of so many keys: few, since a verdict on few replies is the likeliest to be wrong.
# Nearly all keys are missing, so that a request asks most servers, and those of the second copies behind
# them: a pause then holds up several replies of a server.
RATE_LEAST, RATE_MOST = 0.6, 1.2
KEYS_AT_ONCE = (6, 8, 12)
KEYS = 1_000_000
# Tasks that send requests: others go on while some wait for a server.
USERS = 6


@dataclass(slots=True)
class Hour:
    """A run: its servers, its requests and those that failed, its pauses, and each ejection as text."""

    seed: int
    servers: int
    requests: int = 0
    failed: int = 0
    pauses: int = 0
    ejections: list[str] = field(default_factory=list)


def hour_of(seed: int, duration_s: float = HOUR_S, faults: Iterable[Fault] = ()) -> Hour:
    """Runs `duration_s` virtual seconds, in which `faults` befall servers beside the pauses."""
    rng = Random(f"peace {seed}")
    servers = tuple(Server(f"cache-{n + 1}", f"10.0.0.{n + 1}") for n in range(rng.choice((3, 4, 4, 5, 6))))
    route = Replicate(Pool("main", servers), copies=2, read=rng.choice(("first", "random")))
    return _Run(rng, seed, route, servers, duration_s, tuple(faults)).run()


class _Run:
    """One hour: a process with a client, and the servers."""

    def __init__(
        self,
        rng: Random,
        seed: int,
        route: Route,
        servers: tuple[Server, ...],
        duration_s: float,
        faults: tuple[Fault, ...],
    ) -> None:
        self._rng = rng
        self._duration_s = duration_s
        self._rate = RATE_LEAST * (RATE_MOST / RATE_LEAST) ** rng.random()
        self._keys_at_once = rng.choice(KEYS_AT_ONCE)
        self._reads = rng.choice((0.5, 0.9, 0.99))
        pauses = [fault for server in servers for fault in _pauses(rng, server.name, duration_s)]
        self._faults = (*pauses, *faults)
        self._hour = Hour(seed, len(servers), pauses=len(pauses))
        self._simulation = Simulation(
            route, seed=seed, server_options=ServerOptions(service=SERVICE, loss_share=LOSS_SHARE)
        )

    def run(self) -> Hour:
        with logged_to(self._note):
            self._simulation.run(self._main)
        return self._hour

    def _note(self, where: str, line: str) -> None:
        if " is out of service" in line:
            self._hour.ejections.append(f"{self._simulation.loop.time():.3f} s: {line}")

    async def _main(self, simulation: Simulation) -> None:
        loop = simulation.loop
        async with simulation.client() as client:
            await client.connect()
            begun_at = loop.time()
            for fault in self._faults:
                loop.call_at(
                    begun_at + fault.at_s,
                    simulation.inject,
                    fault.kind,
                    fault.target,
                    fault.for_s,
                    fault.amount,
                )
            ends_at = begun_at + self._duration_s
            await asyncio.gather(*(self._send(client, ends_at) for _ in range(USERS)))

    async def _send(self, client: Client, ends_at: float) -> None:
        """Requests of one task at random times, until `ends_at` of the loop."""
        rng, loop = self._rng, self._simulation.loop
        while (wait_s := rng.expovariate(self._rate / USERS)) < ends_at - loop.time():
            await asyncio.sleep(wait_s)
            self._hour.requests += 1
            try:
                if rng.random() < self._reads:
                    await client.get_many([self._key() for _ in range(self._keys_at_once)])
                else:
                    await client.set(self._key(), b"x" * 100)
            except McrouteError:
                self._hour.failed += 1

    def _key(self) -> str:
        return f"key-{int(KEYS * self._rng.random())}"


def _pauses(rng: Random, server: str, duration_s: float) -> Iterator[Fault]:
    at_s = rng.expovariate(1 / PAUSE_EACH_S)
    while at_s < duration_s - 1:
        for_s = rng.uniform(PAUSE_LEAST_S, PAUSE_MOST_S)
        yield Fault("stop", server, at_s, for_s)
        at_s += for_s + rng.expovariate(1 / PAUSE_EACH_S)


@click.command()
@click.option("--hours", default=1, show_default=True, help="Virtual hours to run.")
@click.option("--first", default=0, show_default=True, help="The seed of the first hour.")
@click.option("--seconds", default=HOUR_S, show_default=True, help="The length of an hour.")
def peace(hours: int, first: int, seconds: float) -> None:
    """Run virtual hours without a fault. Exit code 1 if a server was put out of service."""
    begun_at = time.process_time()
    requests = failed = pauses = servers = ejections = 0
    with click.progressbar(range(first, first + hours), label="Hours", file=sys.stderr) as bar:
        for seed in bar:
            hour = hour_of(seed, seconds)
            requests += hour.requests
            failed += hour.failed
            pauses += hour.pauses
            servers += hour.servers
            ejections += len(hour.ejections)
            for ejection in hour.ejections:
                click.echo(f"hour {seed}: {ejection}")
    took_s = time.process_time() - begun_at
    click.echo(
        f"{hours} runs of {seconds:g} s with {servers / hours:.1f} servers, {requests} requests "
        f"({failed} failed), {pauses} pauses: {ejections} ejections; "
        f"{hours * seconds / took_s:.0f} times as fast as time"
    )
    sys.exit(1 if ejections else 0)


if __name__ == "__main__":
    peace(prog_name="python -m mcroute.simulation.peace")
