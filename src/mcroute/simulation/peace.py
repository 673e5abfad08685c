"""Hours without a fault, on servers and a network as they are: python -m mcroute.simulation.peace --help.

Turns of servers have lognormal times and a tail, processes pause, segments get lost. No server may be put out
of service.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import click

from ..policy import Pool, Replicate, Server, compile_plan
from .absences import Absence
from .faults import Fault
from .paths import Lognormal
from .servers import ServerOptions
from .workload import Workload
from .world import Scenario, run

__all__ = ("Hour", "hour_of", "peace")

HOUR_S = 3600.0
# One turn of a server: its median, the spread of its logarithm, and the share that takes up to 50 ms.
SERVICE = Lognormal(0.0001, 0.5, tail_share=0.01, tail_s=0.05)
# Of segments, each way.
LOSS_SHARE = 0.0001
# Pauses of a server's process: one in such a time on average, and each between these lengths.
PAUSE_EACH_S, PAUSE_LEAST_S, PAUSE_MOST_S = 60.0, 0.02, 0.4
# Requests a second for each server: few, since a verdict on few replies is the likeliest to be wrong.
RATE_LEAST, RATE_MOST = 1.5, 6.0


@dataclass(frozen=True, slots=True)
class Hour:
    """The result of a run: its servers, its requests, its pauses, and what was put out of service."""

    seed: int
    servers: int
    requests: int
    failed: int
    pauses: int
    absences: list[Absence]


def scenario_of(seed: int, duration_s: float = HOUR_S) -> Scenario:
    """The servers, requests and pauses of a seed."""
    rng = Random(f"peace {seed}")
    count = rng.choice((3, 4, 4, 5, 6))
    servers = tuple(Server(f"cache-{n + 1}", f"10.0.0.{n + 1}") for n in range(count))
    rate = RATE_LEAST * (RATE_MOST / RATE_LEAST) ** rng.random()
    return Scenario(
        seed=seed,
        plan=compile_plan(Replicate(Pool("main", servers), copies=2, read=rng.choice(("first", "random")))),
        workload=Workload(
            requests_per_s=rate * count,
            duration_s=duration_s,
            clients=10,
            keys=rng.choice((100, 1000)),
            reads=rng.choice((0.5, 0.9, 0.99)),
        ),
        faults=tuple(fault for server in servers for fault in _pauses(rng, server.name, duration_s)),
        server_options=ServerOptions(service=SERVICE, loss_share=LOSS_SHARE),
    )


def _pauses(rng: Random, server: str, duration_s: float) -> Iterator[Fault]:
    at_s = rng.expovariate(1 / PAUSE_EACH_S)
    while at_s < duration_s - 1:
        for_s = rng.uniform(PAUSE_LEAST_S, PAUSE_MOST_S)
        yield Fault("stop", server, at_s, for_s)
        at_s += for_s + rng.expovariate(1 / PAUSE_EACH_S)


def hour_of(seed: int, duration_s: float = HOUR_S) -> Hour:
    """Runs `duration_s` virtual seconds."""
    scenario = scenario_of(seed, duration_s)
    outcome = run(scenario)
    return Hour(
        seed,
        len(scenario.plan.servers),
        len(outcome.served),
        sum(one.has_failed for one in outcome.served),
        len(scenario.faults),
        outcome.absences,
    )


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
            ejections += len(hour.absences)
            for out in hour.absences:
                click.echo(f"hour {seed}: {out.server} is out at {out.begun_at:.3f} s: {out.reason}")
    took_s = time.process_time() - begun_at
    click.echo(
        f"{hours} runs of {seconds:g} s with {servers / hours:.1f} servers, {requests} requests "
        f"({failed} failed), {pauses} pauses: {ejections} ejections; "
        f"{hours * seconds / took_s:.0f} times as fast as time"
    )
    sys.exit(1 if ejections else 0)


if __name__ == "__main__":
    peace(prog_name="python -m mcroute.simulation.peace")
