"""Two of four servers return empty, before a database that takes a tenth of the reads: who recovers, when.

python -m mcroute.simulation.overload --help. It is examples/faults/overload.toml, a third as large, over many
seeds: once with one copy of each key, once with two.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import click

from ..policy import Pool, Replicate, Server, compile_plan
from .faults import Fault
from .report import report_of
from .workload import Workload
from .world import Scenario, run

__all__ = ("recovery_s", "scenario_of")

SERVERS = 4
WORKLOAD = Workload(
    requests_per_s=100,
    duration_s=70,
    clients=34,
    keys=700,
    zipf=0.9,
    reads=1.0,
    database_ms=10,
    database_per_s=10,
    database_timeout_ms=1000,
)
FAULT_S = 1.0
# Seconds of the run. It is over when nine of ten reads hit again, to the end of the run.
BEGIN_S, END_S = 10.0, 11.0
RECOVERED = 0.9


def scenario_of(copies: int, seed: int) -> Scenario:
    """The servers, the requests and the two faults of a seed."""
    servers = tuple(Server(f"cache-{n + 1}", f"cache-{n + 1}.test") for n in range(SERVERS))
    return Scenario(
        seed=seed,
        plan=compile_plan(Replicate(Pool("main", servers), copies=copies)),
        workload=WORKLOAD,
        faults=tuple(Fault("kill", server.name, BEGIN_S, FAULT_S) for server in servers[:2]),
    )


def recovery_s(copies: int, seed: int) -> float | None:
    """The time from the end of the faults until the hit ratio stays above `RECOVERED` to the end of the run.

    None: it does not within the run.
    """
    scenario = scenario_of(copies, seed)
    report = report_of(scenario, run(scenario))
    bad = [
        moment.at_s
        for moment in report.moments
        if moment.figures.hit_ratio is not None and moment.figures.hit_ratio < RECOVERED
    ]
    last_s = max(bad, default=END_S) + report.step_s / 2
    return None if last_s >= report.duration_s - 5 else max(0.0, last_s - END_S)


def line_of(copies: int, times: Sequence[float | None]) -> str:
    known = sorted(time for time in times if time is not None)
    text = f"{copies} cop{'y' if copies == 1 else 'ies'}: {len(known)} of {len(times)} recovered"
    if not known:
        return text
    shares = ", ".join(
        f"{name} {known[math.ceil(share * len(known)) - 1]:.1f} s"
        for name, share in (("median", 0.5), ("p90", 0.9), ("last", 1.0))
    )
    return f"{text}: {shares} after the faults"


@click.command()
@click.option("--seeds", default=50, show_default=True, help="Runs for each number of copies.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--copies", multiple=True, default=(1, 2), show_default=True, type=click.IntRange(1, SERVERS))
def overload(seeds: int, first: int, copies: tuple[int, ...]) -> None:
    """Kill two of four servers before a slow database, many times; print who recovered, and when."""
    for count in copies:
        with click.progressbar(range(first, first + seeds), label=f"{count} copies", file=sys.stderr) as bar:
            times = [recovery_s(count, seed) for seed in bar]
        click.echo(line_of(count, times))


if __name__ == "__main__":
    overload(prog_name="python -m mcroute.simulation.overload")
