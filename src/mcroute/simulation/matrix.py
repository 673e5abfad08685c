"""What clients see of each fault, and how soon it is found: python -m mcroute.simulation.matrix --help.

Each injection is one run: requests to four servers with two copies, and one fault of one server. Its seed
decides the requests, the latencies, and where in the run the fault begins.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random

import click

from ..policy import Pool, Replicate, Server, compile_plan
from .checker import violations
from .faults import Fault
from .history import Operation, Result
from .world import Scenario, run

__all__ = ("ROWS", "Injection", "Row", "inject", "lines_of")

SERVERS, CLIENTS, KEYS = 4, 20, 100
REQUESTS_PER_S, WRITES = 50.0, 0.1
VICTIM = "cache-2"
# The fault begins in the second second, and the requests go on for a second behind it.
BEGIN_S, END_S = 1.0, 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """A fault of the matrix: its kind, amount and length in seconds."""

    text: str
    kind: str
    for_s: float = 3.0
    amount: float = 0.0


ROWS = (
    Row("killed, returns empty", "kill"),
    Row("killed, returns with old items", "kill-warm"),
    Row("machine without power", "power"),
    Row("stopped (SIGSTOP)", "stop"),
    Row("each turn 20 ms longer", "slow", 4.0, 0.02),
    Row("each turn 200 ms longer", "slow", 4.0, 0.2),
    Row("each turn up to 100 ms longer", "jitter", 4.0, 0.1),
    Row("1 % of the turns 200 ms longer", "tail", 4.0, 0.2),
    Row("partition both ways", "partition"),
    Row("requests do not arrive", "cut-requests"),
    Row("replies do not arrive", "cut-replies"),
    Row("1 % of the segments lost", "loss", 4.0, 0.01),
    Row("5 % of the segments lost", "loss", 4.0, 0.05),
    Row("reset within 5 % of the replies", "reset", 4.0, 0.05),
    Row("5 % of the replies end early, then silence", "truncate", 4.0, 0.05),
    Row("5 % of the replies are garbage", "garbage", 4.0, 0.05),
    Row("5 % of the replies come twice", "duplicate", 4.0, 0.05),
    Row("5 % of the replies change places", "swap", 4.0, 0.05),
    Row("out of memory (-M)", "full"),
    Row("accepts and closes", "accept-close"),
    Row("at most 2 clients, others get an error", "limit", 3.0, 2),
    Row("at most 2 clients, others wait", "limit-silent", 3.0, 2),
    Row("another service at the port", "foreign"),
    Row("the name leads elsewhere, empty", "move"),
    Row("the name is unknown", "name-unknown"),
    Row("no name server answers", "name-silent"),
    Row("the host's date jumps by an hour", "clock", 3.0, 3600),
    Row("killed and restarted every 0.4 s", "flap", 6.0, 0.4),
    Row("stopped and continued every 0.4 s", "flap-stop", 6.0, 0.4),
    Row("stopped and continued every 0.2 s", "flap-stop", 6.0, 0.2),
)


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault: after which time its server was out of service, and back after the fault's end, in seconds.

    None: never. Of the `requests` from the fault's begin on, `errors` failed, and the slowest took `worst_s`.
    `others` servers without a fault were put out of service. `laws` are the broken ones.
    """

    out_s: float | None
    back_s: float | None
    requests: int
    errors: int
    worst_s: float
    others: int
    laws: frozenset[str]


def scenario_of(row: Row, seed: int) -> Scenario:
    rng = Random(f"{row.text} {seed}")
    servers = tuple(Server(f"cache-{n + 1}", f"cache-{n + 1}.test") for n in range(SERVERS))
    begin_s = BEGIN_S + rng.random()
    span_s = begin_s + row.for_s + END_S
    times = sorted(rng.uniform(0, span_s) for _ in range(int(REQUESTS_PER_S * span_s)))
    return Scenario(
        seed=seed,
        plan=compile_plan(Replicate(Pool("main", servers), copies=2, read="random")),
        operations=tuple(
            Operation(
                number,
                rng.randrange(CLIENTS),
                at_s,
                "set" if rng.random() < WRITES else "get",
                f"key-{rng.randrange(KEYS)}",
            )
            for number, at_s in enumerate(times)
        ),
        faults=(Fault(row.kind, VICTIM, begin_s, row.for_s, row.amount),),
        reads_at_end=True,
    )


def inject(row: Row, seed: int) -> Injection:
    """Runs one injection."""
    scenario = scenario_of(row, seed)
    outcome = run(scenario)
    [fault] = scenario.faults
    begin = outcome.begun_at + fault.at_s
    own = [a for a in outcome.absences if a.server == VICTIM and a.begun_at >= begin]
    calls = [call for call in outcome.history.calls if call.ended_at >= begin]
    ended_at = own[-1].ended_at if own else None
    return Injection(
        own[0].begun_at - begin if own else None,
        None if ended_at is None else ended_at - begin - fault.for_s,
        len(calls),
        sum(call.result is Result.FAILED for call in calls),
        max(call.ended_at - call.begun_at for call in calls),
        len({absence.server for absence in outcome.absences} - {VICTIM}),
        frozenset(violation.law for violation in violations(scenario, outcome)),
    )


# ---- the table ----

HEAD = (
    "| fault of one server | found | after: median, p99 | back after its end: median, p99 "
    "| errors | slowest request: median, worst | laws broken, others out |",
    "|---|---|---|---|---|---|---|",
)


def line_of(row: Row, found: Sequence[Injection]) -> str:
    outs = sorted(one.out_s for one in found if one.out_s is not None)
    backs = sorted(one.back_s for one in found if one.back_s is not None)
    worst = sorted(one.worst_s for one in found)
    errors, requests = sum(one.errors for one in found), sum(one.requests for one in found)
    broken = sum(bool(one.laws) for one in found)
    others = sum(bool(one.others) for one in found)
    return (
        f"| {row.text}, {row.for_s:g} s | {len(outs)} of {len(found)} | {_two(outs)} | {_two(backs)} "
        f"| {errors} of {requests} | {_time(_percentile(worst, 0.5))}, {_time(worst[-1])} "
        f"| {broken}, {others} |"
    )


def _two(times: Sequence[float]) -> str:
    return f"{_time(_percentile(times, 0.5))}, {_time(_percentile(times, 0.99))}" if times else ""


def _percentile(times: Sequence[float], share: float) -> float:
    return times[math.ceil(share * len(times)) - 1]


def _time(seconds: float) -> str:
    if seconds < 0:
        return "before"
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.3g} ms"


def lines_of(injections: int, jobs: int = 1, rows: Sequence[Row] = ROWS) -> list[str]:
    """The lines of the table, of so many injections for each row. Shows its progress on stderr."""
    lines = list(HEAD)
    with (
        click.progressbar(length=len(rows) * injections, label="Injections", file=sys.stderr) as bar,
        ProcessPoolExecutor(jobs) as pool,
    ):
        for row in rows:
            found = []
            for injection in pool.map(partial(inject, row), range(injections), chunksize=5):
                found.append(injection)
                bar.update(1)
            lines.append(line_of(row, found))
    return lines


@click.command()
@click.option("--injections", default=200, show_default=True, help="Of each fault.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--only", default="", help="Faults of this kind only.")
def matrix(injections: int, jobs: int, only: str) -> None:
    """Inject each kind of fault many times; print a table of what clients saw, and how soon it was found."""
    rows = [row for row in ROWS if only in ("", row.kind)]
    click.echo("\n".join(lines_of(injections, jobs, rows)))


if __name__ == "__main__":
    matrix(prog_name="python -m mcroute.simulation.matrix")
