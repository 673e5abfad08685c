"""The command `mcroute simulate`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ...errors import ConfigError
from ..loading import load
from ..summaries import COMMANDS
from .tables import lines_of

if TYPE_CHECKING:
    from ...config import Config
    from ...simulation.scripts import Script
    from ...simulation.world import Outcome, Scenario

__all__ = ("simulate",)

_FILE = click.Path(dir_okay=False)
# Of a process that SIGINT has ended, as shells count.
INTERRUPTED = 130


@click.command(short_help=COMMANDS["simulate"])
@click.argument("config", type=_FILE)
@click.option("--faults", "script", type=_FILE, required=True, metavar="FILE", help="The fault script, TOML.")
@click.option("--seed", type=click.INT, default=1, show_default=True, help="One seed has one result.")
@click.option(
    "--proxies", type=click.IntRange(0, 50), default=1, show_default=True, help="Number of proxies."
)
@click.option(
    "--embedded", type=click.IntRange(0, 50), default=0, show_default=True, help="Processes with a client."
)
@click.option("--check", is_flag=True, help="Check what clients saw; exit status 1 if a law is broken.")
@click.option("--json", "json_path", type=_FILE, metavar="FILE", help="Also write all figures as JSON.")
@click.option(
    "--plot", type=_FILE, metavar="FILE", help="Also write a chart, .svg or .png; needs the extra plots."
)
def simulate(
    config: str,
    script: str,
    seed: int,
    proxies: int,
    embedded: int,
    check: bool,
    json_path: str | None,
    plot: str | None,
) -> None:
    """Show what the faults of a script do to the configuration CONFIG, on a simulated network.

    Proxies and clients are real; the network, memcached and time are simulated. An application asks for the
    keys, and loads from a database what the cache does not have.
    """
    if not proxies + embedded:
        raise click.UsageError("at least one proxy or one embedded client is needed")
    # Imported late: the other commands need no engine.
    from ...simulation.checker import violations  # noqa: PLC0415
    from ...simulation.report import report_of  # noqa: PLC0415
    from ...simulation.story import story_of  # noqa: PLC0415

    try:
        loaded = load(config)
        _check_sockets(loaded, config)
        read = _script(script, loaded, proxies)
    except ConfigError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    scenario = _scenario(loaded, read, seed, proxies, embedded)
    try:
        outcome = _run(scenario, read.workload.duration_s)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    report = report_of(scenario, outcome, read.slow_s)
    for line in lines_of(report, scenario):
        click.echo(line)
    if json_path:
        _write(json_path, json.dumps(report.as_dict(), indent=1) + "\n")
    if plot:
        # Imported late: drawing needs an extra.
        from .pictures import draw  # noqa: PLC0415

        draw(report, plot)
    if check:
        broken = violations(scenario, outcome)
        if broken:
            click.echo(story_of(scenario, outcome, broken[0]))
            click.echo(f"{len(broken)} violations")
            sys.exit(1)
        click.echo(f"checked {len(outcome.history.calls)} calls: no violation")


def _check_sockets(config: Config, path: str) -> None:
    from ...simulation.fleet import NO_UNIX_SOCKETS  # noqa: PLC0415

    for server in config.plan.servers:
        if server.path:
            raise ConfigError(f"{path}: {config.place_of(server.name)}", NO_UNIX_SOCKETS)


def _script(path: str, config: Config, proxies: int) -> Script:
    from ...simulation.scripts import load_script  # noqa: PLC0415

    return load_script(path, config.plan, [f"proxy-{number + 1}" for number in range(proxies)])


def _scenario(config: Config, script: Script, seed: int, proxies: int, embedded: int) -> Scenario:
    from ...simulation.world import Scenario  # noqa: PLC0415

    return Scenario(
        seed=seed,
        plan=config.plan,
        settings=config.supervisor,
        limits=config.proxy.limits,
        workload=script.workload,
        faults=script.faults,
        other_plans=script.other_plans,
        server_options=script.server_options,
        value_size=script.value_size,
        proxies=proxies,
        embedded=embedded,
    )


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None


# ---- the run ----


def _run(scenario: Scenario, duration_s: float) -> Outcome:
    """Raises KeyboardInterrupt after SIGINT."""
    from ...simulation.world import run  # noqa: PLC0415

    steps = int(duration_s)
    # Without a terminal, click would write the label alone.
    shown: Any = click.progressbar(length=steps, label="Simulating", file=sys.stderr)
    with _interruptible() as is_interrupted, shown if sys.stderr.isatty() else nullcontext() as bar:

        def progress(run_s: float) -> None:
            if is_interrupted():
                raise KeyboardInterrupt
            if bar is not None:
                bar.update(min(int(run_s), steps) - bar.pos)

        return run(scenario, progress)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Notes SIGINT instead of raising: an exception in the middle of a callback would be lost there."""
    noted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal noted
        if noted:
            # The second one ends the process at once.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        noted = True

    before: Any = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        signal.signal(signal.SIGINT, before)
