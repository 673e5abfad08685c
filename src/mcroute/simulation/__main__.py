"""Random scenarios by their seeds: python -m mcroute.simulation --help."""

from __future__ import annotations

import sys

import click

from .campaign import Campaign, SeedResult, run_seeds
from .scenarios import scenario_of
from .shrinking import Shrunk, shrink
from .story import story_of


@click.command()
@click.option("--seeds", default=200, show_default=True, help="How many seeds to run.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--operations", default=2000, show_default=True, help="Operations of each seed.")
@click.option("--faults", default=5, show_default=True, help="Faults of each seed.")
@click.option("--jobs", default=0, help="Processes; default: one for each core.")
@click.option("--shrinks", default=200, show_default=True, help="Runs to make a failing scenario smaller.")
def simulate(seeds: int, first: int, operations: int, faults: int, jobs: int, shrinks: int) -> None:
    """Run random scenarios on a simulated network, and check what happened.

    A failing one is made smaller, and told as a story. Exit code 1 if any fails.
    """
    campaign = _run(range(first, first + seeds), operations, faults, jobs)
    click.echo("\n".join(campaign.table()))
    rate = campaign.seeds / max(campaign.seconds, 1e-9) * 3600
    click.echo(
        f"{campaign.seeds} seeds, {campaign.calls} calls, {campaign.faults} faults "
        f"in {campaign.seconds:.0f} s ({rate:.0f} seeds an hour): {len(campaign.failed)} failed"
    )
    if campaign.failed:
        for result in campaign.failed:
            click.echo(f"seed {result.seed}: {'; '.join(result.laws.values())}")
        _tell(campaign.failed[0], operations, faults, shrinks)
        sys.exit(1)


def _run(seeds: range, operations: int, faults: int, jobs: int) -> Campaign:
    with click.progressbar(length=len(seeds), label="Seeds", file=sys.stderr) as bar:
        return run_seeds(seeds, operations, faults, jobs, on_result=lambda result: bar.update(1))


def _tell(result: SeedResult, operations: int, faults: int, runs_max: int) -> None:
    scenario = scenario_of(result.seed, operations, faults)
    with click.progressbar(length=runs_max, label="Shrinking", file=sys.stderr) as bar:

        def progress(shrunk: Shrunk) -> None:
            bar.update(1)

        shrunk = shrink(scenario, frozenset(result.laws), runs_max, progress)
    click.echo(story_of(shrunk.scenario, shrunk.outcome, shrunk.violations[0]))


if __name__ == "__main__":
    simulate(prog_name="python -m mcroute.simulation")
