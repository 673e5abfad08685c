"""The command line: python -m benches.proxies --help."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mcroute.testing import find_memcached

from .building import BUILD, compiled_load
from .cell import Cell, Settings, describe
from .machine import ROOT, about
from .peers import GROUPS, Peer, Tools, peers_named
from .processes import cores_for
from .rounds import Plan
from .tables import Run, full_tables, replace_section, result_section
from .workloads import SHOWN_ROWS, Workload, workloads_named


def _option(name: str, kind: Any, default: object, text: str, **more: Any) -> Callable[..., Any]:
    return click.option(name, type=kind, default=default, help=text, **more)


@click.command(context_settings={"show_default": True}, epilog=f"Groups of peers: {', '.join(GROUPS)}.")
@_option("--peers", str, "readme", "Names of peers and groups, separated by commas; the first has ratio 1.")
@_option(
    "--peer",
    str,
    (),
    "Another peer: NAME=COMMAND, as in 'mine=./mine $port $server0 $server1'.",
    multiple=True,
)
@_option("--workloads", str, SHOWN_ROWS, "Rows, by their letters.")
@_option("--rounds", click.IntRange(1), 5, "Turns of each peer in each row.")
@_option("--seconds", click.FloatRange(0.1, 60), 2.0, "Duration of each cell.")
@_option(
    "--placement", click.Choice(["one", "split"]), "one", "All on one core, or the proxy on separate cores."
)
@_option("--threads", click.IntRange(1, 16), 1, "Threads of each peer that supports several.")
@_option("--nice", click.IntRange(-20, 19), None, "For all programs.  [default: -10 as root, else 0]")
@_option(
    "--quiet", click.FloatRange(0), 0.25, "A cell is repeated if other programs used more cores than this."
)
@_option("--retries", click.IntRange(0), 2, "How often it is.")
@_option("--memcached-proxy", str, "memcached", "A memcached built with its proxy.", envvar="MEMCACHED_PROXY")
@_option("--nutcracker", str, "nutcracker", "The program of twemproxy.", envvar="NUTCRACKER")
@_option("--out", click.Path(dir_okay=False, path_type=Path), None, "The run, as JSON.")
@_option("--table", click.Path(exists=True, path_type=Path), None, "Show this run without measuring.")
@click.option(
    "--write-docs", is_flag=True, help="Put the tables into docs/performance.md.", show_default=False
)
def main(table: Path | None, write_docs: bool, **options: Any) -> None:
    """Compare proxies, and show tables."""
    finished = json.loads(table.read_text(encoding="utf-8")) if table else _measure(**options)
    if write_docs:
        replace_section(ROOT / "docs" / "performance.md", result_section(finished))
    click.echo(full_tables(finished))
    sys.exit(any(cell["status"] for cell in finished["cells"]))


def _measure(peers: str, peer: Sequence[str], workloads: str, out: Path | None, **options: Any) -> Run:
    tools = Tools(options["nutcracker"], options["memcached_proxy"])
    with _as_bad_parameter("--peers"):
        wanted = peers_named(peers, peer)
    with _as_bad_parameter("--workloads"):
        rows = workloads_named(workloads)
    absent = {one.title: why for one in wanted if (why := one.absent(tools))}
    present = [one for one in wanted if one.title not in absent]
    memcached = find_memcached()
    if memcached is None or not present:
        raise click.ClickException(
            "no memcached is installed" if present else "none of the peers is installed"
        )
    options["nice"] = _renice(options["nice"])
    _raise_limit_of_files()
    settings = Settings(
        load=compiled_load(),
        memcached=memcached,
        tools=tools,
        cores=cores_for(options["placement"], options["threads"]),
        threads=options["threads"],
        seconds=options["seconds"],
    )
    plan = Plan(present, rows, options["rounds"], options["quiet"], options["retries"])
    result = _without_cells(plan, settings, options)
    result["notes"] = [f"{title} is left out: {why}." for title, why in absent.items()]
    _run_visibly(plan, settings, result, out or BUILD / f"run-{datetime.now():%Y%m%d-%H%M%S}.json")
    return result


def _without_cells(plan: Plan, settings: Settings, options: dict[str, Any]) -> Run:
    kept = {name: options[name] for name in ("rounds", "seconds", "placement", "threads", "nice")}
    command = shlex.join(["python", "-m", "benches.proxies", *sys.argv[1:]])
    return {
        "about": about(plan.peers, settings.tools, settings.memcached),
        "settings": {**kept, "baseline": plan.peers[0].name, "command": command},
        "peers": {peer.name: peer.title for peer in plan.peers},
        "notes": [],
        "cells": [],
    }


def _renice(wished: int | None) -> int:
    nice = wished if wished is not None else -10 if os.geteuid() == 0 else 0
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    return nice


@contextmanager
def _as_bad_parameter(option: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _raise_limit_of_files() -> None:
    """Ten thousand connections need as many descriptors in a proxy, twice as many in some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run_visibly(plan: Plan, settings: Settings, result: Run, file: Path) -> None:
    """Shows the progress, and updates the file: an interrupted run is a shorter one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # All started programs are ended, also after a signal.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=plan.cells)

        def done(workload: Workload, peer: Peer, cell: Cell | str) -> None:
            if isinstance(cell, str):
                result["notes"].append(f"{peer.title}, row {workload.letter}: {cell}")
            else:
                result["cells"].append(cell)
            file.write_text(json.dumps(result, indent=1), encoding="utf-8")
            text = cell if isinstance(cell, str) else describe(cell)
            progress.console.print(f"{workload.letter} {peer.name:<22} {text}", markup=False, soft_wrap=True)
            progress.advance(task)

        try:
            plan.run(settings, done)
        except KeyboardInterrupt:
            progress.console.print("stopped early")
    click.echo(f"the run is in {file}", err=True)


if __name__ == "__main__":
    main()
