"""The commands of `mcroute ring`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ...config import load_config
from ...config.values import suggest
from ...errors import ConfigError, McrouteWarning
from ...policy import Pool
from .detection import Sample, detect
from .shares import diff_lines, diff_rings, generated_keys, spread_lines, spread_ring

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ("ring",)

_CONFIG = click.Path(dir_okay=False)
_POOL = click.option("--pool", "name", metavar="NAME", help="The pool, if CONFIG has several.")
_KEYS = click.option(
    "--keys", type=click.IntRange(1, 10_000_000), default=100_000, show_default=True, help="Keys to try."
)
_KEY_FILE = click.option(
    "--key-file", type=_CONFIG, metavar="FILE", help="Use the keys in this file, one per line."
)
_PLOT = click.option(
    "--plot", type=_CONFIG, metavar="FILE", help="Also write a chart, .svg or .png; needs the extra plots."
)


class _Mistake(click.ClickException):
    """A mistake in the user's input."""

    exit_code = 2


@click.group()
def ring() -> None:
    """Show where keys are placed, and what a change moves."""


@ring.command()
@click.argument("config", type=_CONFIG)
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@_POOL
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="Candidates of each key.")
def owner(config: str, keys: Sequence[str], name: str | None, count: int) -> None:
    """Show the server that owns each KEY in a pool of CONFIG, and the servers it fails over to."""
    found = _pool(config, name).ring()
    for key in keys:
        owners = found.owners(os.fsencode(key), count)
        click.echo(f"{key}  {' '.join(found.servers[i] for i in owners)}")


@ring.command()
@click.argument("config", type=_CONFIG)
@_POOL
@_KEYS
@_KEY_FILE
@_PLOT
def spread(config: str, name: str | None, keys: int, key_file: str | None, plot: str | None) -> None:
    """Show each server's share of keys, and of points, in a pool of CONFIG."""
    found = spread_ring(_pool(config, name).ring(), _sample_keys(keys, key_file))
    for line in spread_lines(found):
        click.echo(line)
    if plot:
        # Imported late: drawing needs an extra.
        from .pictures import draw_spread  # noqa: PLC0415

        draw_spread(found, plot)


@ring.command()
@click.argument("old", type=_CONFIG)
@click.argument("new", type=_CONFIG)
@_POOL
@_KEYS
@_KEY_FILE
@_PLOT
def diff(old: str, new: str, name: str | None, keys: int, key_file: str | None, plot: str | None) -> None:
    """Show which share of the keys moves between which servers when the file OLD becomes NEW."""
    found = diff_rings(_pool(old, name).ring(), _pool(new, name).ring(), _sample_keys(keys, key_file))
    for line in diff_lines(found):
        click.echo(line)
    if plot:
        from .pictures import draw_diff  # noqa: PLC0415

        draw_diff(found, plot)


@ring.command("detect")
@click.argument("config", type=_CONFIG)
@click.option(
    "--sample", type=_CONFIG, required=True, metavar="FILE", help="Lines of a key, a blank and its server."
)
@_POOL
@click.option("--out", multiple=True, metavar="SERVER", help="This server was out then; may be repeated.")
@click.option(
    "--given",
    multiple=True,
    metavar="OPTION=VALUE",
    help='A known option of the old client, as in a configuration: prefix="app:"; may be repeated.',
)
@click.option("--all", "is_all", is_flag=True, help="Show all combinations of options, not one per system.")
def detect_command(
    config: str, sample: str, name: str | None, out: Sequence[str], given: Sequence[str], is_all: bool
) -> None:
    """Find the client or proxy, and the options, that placed a sample of keys.

    The servers are those of a pool of CONFIG, with the order, names and weights that the old client had.
    To get a sample, ask each server for keys that are in use. 200 lines are enough.
    """
    pool = _pool(config, name)
    servers = [server.name for server in pool.servers]
    seen = _read_sample(sample, servers)
    gone = [_index(server, servers, "--out") for server in out]
    found = detect(pool.servers, seen, given=_given(given), out=gone)
    if not found:
        raise click.ClickException("no known system explains half of the sample")
    explained = [candidate for candidate in found if candidate.share == found[0].share]
    first = {candidate.system: candidate for candidate in reversed(explained)}
    shown = (
        explained
        if is_all
        else [candidate for candidate in explained if first[candidate.system] is candidate]
    )
    click.echo(f"{found[0].share:.1%} of {len(seen.keys)} keys are explained by:")
    for candidate in shown:
        click.echo(f"  {candidate}")
    if len(explained) > len(shown):
        click.echo(f"  ... and {len(explained) - len(shown)} other combinations of options (--all)")


# ---- what was written


def _pool(path: str, name: str | None) -> Pool:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", McrouteWarning)
            pools = {pool.name: pool for pool in load_config(path).pools}
    except ConfigError as error:
        raise _Mistake(str(error)) from None
    for warning in caught:
        click.echo(f"Warning: {warning.message}", err=True)
    if name is None and len(pools) == 1:
        return next(iter(pools.values()))
    if name not in pools:
        raise _Mistake(
            f"--pool: {path} has {', '.join(pools)}" + (f"; {suggest(name, pools)}" if name else "")
        )
    return pools[name]


def _sample_keys(count: int, path: str | None) -> list[bytes]:
    if path is None:
        return generated_keys(count)
    keys = _read(path).split()
    if not keys:
        raise _Mistake(f"{path}: the file has no keys")
    return keys


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _Mistake(f"{path} cannot be read: {error.strerror}") from None


def _read_sample(path: str, servers: Sequence[str]) -> Sample:
    keys, owners = [], []
    for number, line in enumerate(_read(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2:
            raise _Mistake(f"{path}, line {number}: expected a key, a blank and a server")
        keys.append(words[0])
        owners.append(_index(os.fsdecode(words[1]), servers, f"{path}, line {number}"))
    if not keys:
        raise _Mistake(f"{path}: the file has no keys")
    return Sample(keys, owners)


def _index(server: str, servers: Sequence[str], place: str) -> int:
    if server not in servers:
        raise _Mistake(f"{place}: no server is called {server!r}; {suggest(server, servers)}")
    return servers.index(server)


def _given(lines: Sequence[str]) -> dict[str, Any]:
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        raise _Mistake(f'--given: {error}; write for instance prefix="app:"') from None
