"""`top`: a live view of a running proxy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

from ...errors import ConfigError
from ...monitoring.asking import NoProxy, ask
from ...policy import Server
from ..summaries import COMMANDS
from .figures import Screen, SortBy, screen, sorted_servers
from .lines import page
from .samples import Sample, parsed

__all__ = ("Looks", "top")

ANSWER_TIMEOUT_S = 3.0
_SORTS = [by.value for by in SortBy]


class Looks:
    """Takes a sample of the proxy at each call, and returns the figures since the last one."""

    def __init__(self, proxy: Server) -> None:
        self._proxy = proxy
        self._before: Sample | None = None

    def __call__(self) -> Screen:
        """Raises NoProxy."""
        before, self._before = self._before, None
        self._before = parsed(ask(self._proxy, "top", ANSWER_TIMEOUT_S), self._proxy.where)
        return screen(before, self._before)


@click.command(short_help=COMMANDS["top"])
@click.argument("address", metavar="HOST:PORT")
@click.option("--once", is_flag=True, help="Print one screen, after one interval, and end.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="The time between two looks.",
)
@click.option(
    "--sort",
    type=click.Choice(_SORTS),
    default=SortBy.STATE.value,
    show_default=True,
    help="The order of servers, the noteworthy ones first.",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="With --once: so many servers. Default: all."
)
def top(address: str, once: bool, interval: float, sort: str, limit: int | None) -> None:
    """Show the pools, servers and clients of the proxy at HOST:PORT, or unix:/path, live.

    The proxy is asked by `stats top` on its own port, once in an interval. Rates and percentiles are those of
    the interval. Keys sort the servers by state, name, rate, errors, hits or p99 (their first letters),
    scroll (arrows, PgUp, PgDn), and end the view (q, Ctrl-C).
    """
    try:
        looks = Looks(Server.parse(address, place="HOST:PORT"))
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    try:
        if once:
            _print_once(address, looks, interval, SortBy(sort), limit)
        else:
            _live(address, looks, interval, SortBy(sort))
    except NoProxy as error:
        raise click.ClickException(str(error)) from None


def _print_once(
    address: str, look: Callable[[], Screen], interval_s: float, by: SortBy, limit: int | None
) -> None:
    look()
    time.sleep(interval_s)
    now = look()
    servers = sorted_servers(now.servers, by)[:limit]
    for line in page(address, now, servers, len(now.servers) - len(servers)):
        click.echo(line)


def _live(address: str, look: Callable[[], Screen], interval_s: float, by: SortBy) -> None:
    if not sys.stdout.isatty():
        raise click.UsageError("the live view needs a terminal; write --once for a pipe")
    # Imported late: the live view needs an extra.
    from .app import TopApp  # noqa: PLC0415

    # A proxy that does not answer is an error before the screen changes.
    look()
    TopApp(address, look, by, interval_s).run()
