"""The commands. Results go to stdout, errors to stderr; a mistake of the user's is exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Literal, ParamSpec

import click

from .._version import __version__
from ..config import Config
from ..config.values import suggest
from ..errors import ConfigError
from ..monitoring.asking import NoProxy
from ..monitoring.servers import LiveServer, ask_servers
from ..policy import Plan, Pool, Server
from ..policy import explain as explain_key
from ..policy.nodes import COMMAND_GROUPS, Ask
from .live import table
from .loading import load
from .ring.commands import ring
from .simulation.commands import simulate
from .summaries import COMMANDS
from .top.commands import top

KEY_MAX = 250  # bytes, memcached's limit
LIVE_TIMEOUT_S = 3.0

_P = ParamSpec("_P")


class _Mistake(click.ClickException):
    """A mistake in the user's input."""

    exit_code = 2


def _reporting(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turns ConfigError into one line on stderr instead of a traceback."""

    @wraps(command)
    def reported(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ConfigError as error:
            raise _Mistake(str(error)) from None

    return reported


_CONFIG = click.argument("config", type=click.Path(dir_okay=False))


@click.group()
@click.version_option(__version__, prog_name="mcroute", message="%(prog)s %(version)s")
def mcroute() -> None:
    """A routing engine for memcached."""


mcroute.add_command(ring)
mcroute.add_command(simulate)
mcroute.add_command(top)


@mcroute.command(short_help=COMMANDS["check"])
@_CONFIG
@_reporting
def check(config: str) -> None:
    """Check the configuration file CONFIG, and show its pools.

    Host names are resolved: two servers at one address are a mistake.
    """
    # Imported late: asyncio takes long to import, and the other commands resolve no names.
    import asyncio  # noqa: PLC0415

    from ..drivers.asyncio.addresses import Resolver, place_of  # noqa: PLC0415
    from ..drivers.asyncio.lookups import process_lookups  # noqa: PLC0415

    loaded = load(config)
    found = asyncio.run(Resolver(process_lookups()).locate(loaded.plan))
    try:
        loaded.check_places({s.name: place_of(s, found[s.name]) for s in loaded.plan.servers})
    except ConfigError as error:
        raise ConfigError(f"{config}: {error.place}", error.message) from None
    for pool in loaded.pools:
        placed = f"as {pool.placement.system}" if pool.placement else pool.distribution
        servers = f"{len(pool.servers)} server{'s' * (len(pool.servers) > 1)}"
        copies = _copies(loaded.plan, pool)
        use = (
            f"{copies} cop{'y' if copies == 1 else 'ies'} of each key" if copies else "not used by the route"
        )
        click.echo(f"pool {pool.name}: {servers}, {use}, {placed}")
    click.echo(f"{config}: ok")


def _copies(plan: Plan, pool: Pool) -> int:
    """The number of the pool's servers that hold each key; 0 if the route does not use the pool."""
    ranks = (node.rank for node in plan.nodes if isinstance(node, Ask) and plan.pools[node.pool] is pool)
    return max(ranks, default=-1) + 1


@mcroute.command(short_help=COMMANDS["explain"])
@_CONFIG
@click.argument("keys", nargs=-1, metavar="KEY...")
@click.option(
    "--command",
    type=click.Choice(sorted(COMMAND_GROUPS)),
    default="get",
    show_default=True,
    metavar="NAME",
    help="The memcached command to explain.",
)
@click.option(
    "--ejected", multiple=True, metavar="SERVER", help="Treat this server as ejected; may be repeated."
)
@click.option(
    "--live", is_flag=True, help="Ask the running proxy which servers are out of service now, and why."
)
@click.option(
    "--at", metavar="ADDRESS", help="With --live: the proxy's address, if it is not CONFIG's proxy.listen."
)
@_reporting
def explain(
    config: str, keys: tuple[str, ...], command: str, ejected: tuple[str, ...], live: bool, at: str | None
) -> None:
    """Show the servers that a request goes to, in order, and why. No request is sent.

    With --live, as they are now: a running proxy is asked for the states of its servers, by `stats servers`.
    """
    if at is not None and not live:
        raise _Mistake("--at needs --live")
    loaded = load(config)
    _check_servers(loaded, ejected)
    found = _live_servers(at or loaded.proxy.listen, loaded) if live else {}
    out = dict.fromkeys(ejected, "as --ejected says") if live else {}
    out.update((name, server.why) for name, server in found.items() if server.is_out)
    for i, key in enumerate(_keys(keys, command)):
        if i:
            click.echo()
        explanation = explain_key(loaded.plan, key, command, out if live else ejected)
        click.echo(str(explanation))
        if live:
            for line in table([found[name] for name in explanation.all_servers()]):
                click.echo(line)
        click.echo(f"servers: {', '.join(explanation.servers()) or 'none'}")


def _live_servers(address: str, config: Config) -> dict[str, LiveServer]:
    """The servers of the proxy at this address. It must have those of the configuration."""
    try:
        found = ask_servers(Server.parse(address, place="--at"), LIVE_TIMEOUT_S)
    except NoProxy as error:
        raise click.ClickException(str(error)) from None
    missing = [server.name for server in config.plan.servers if server.name not in found]
    if missing:
        names = ", ".join(missing)
        raise click.ClickException(f"the proxy at {address} runs another configuration: it lacks {names}")
    return found


@mcroute.command(short_help=COMMANDS["proxy"])
@_CONFIG
@click.option(
    "--loop",
    type=click.Choice(["native", "asyncio"]),
    help="Overrides CONFIG's proxy.loop.",
)
@click.option(
    "--threads", type=click.IntRange(0, 64), help="Overrides CONFIG's proxy.threads; 0: one per core."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="Overrides CONFIG's proxy.log_format; json: one object a line.",
)
def proxy(
    config: str, loop: str | None, threads: int | None, log_format: Literal["text", "json"] | None
) -> None:
    """Run the proxy configured by CONFIG until SIGTERM or SIGINT, then drain the clients' requests.

    SIGHUP reloads CONFIG without disconnecting a client; a faulty file changes nothing.
    """
    # Imported late: the other commands need no engine.
    from .serving import run_proxy  # noqa: PLC0415

    sys.exit(run_proxy(config, loop, threads, log_format))


def _option(name: str, kind: Any, default: object, help: str) -> Callable[..., Any]:
    return click.option(name, type=kind, default=default, show_default=True, help=help)


@mcroute.command(short_help=COMMANDS["demo"])
@_option("--duration", click.FloatRange(1.0), 15.0, "Seconds of load.")
@_option("--clients", click.IntRange(1, 1000), 50, "Connections to the proxy.")
@_option("--keys", click.IntRange(1), 1000, "Keys in the cache.")
@_option("--rate", click.FloatRange(1.0), 1000.0, "Requests per second, of all clients together.")
@_option("--copies", click.IntRange(1, 4), 2, "Servers that hold each key.")
@_option("--fault", click.Choice(["kill", "stop"]), "kill", "The fault of one server.")
@_option("--seed", click.INT, 1, "Seed for the choice of that server and of the keys to read.")
@click.option("--embedded", is_flag=True, help="Use mcroute's test servers even if memcached is installed.")
def demo(
    duration: float, clients: int, keys: int, rate: float, copies: int, fault: str, seed: int, embedded: bool
) -> None:
    """Run four servers, a proxy and clients under load; one server is killed and comes back.

    The clients check every value. Exit status 1 if a client saw an error or a wrong value.
    Everything runs on 127.0.0.1 and is stopped at the end.
    """
    # Imported late: drawing needs an extra.
    from rich.console import Console  # noqa: PLC0415

    from ..testing import find_memcached  # noqa: PLC0415
    from .demo import DemoSettings, Fault, run_demo  # noqa: PLC0415

    is_embedded = embedded or find_memcached() is None
    settings = DemoSettings(duration, clients, keys, copies, rate, seed, Fault(fault), is_embedded)
    try:
        status = run_demo(settings, Console())
    except (OSError, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)


def _check_servers(config: Config, names: Sequence[str]) -> None:
    known = [server.name for server in config.plan.servers]
    for name in names:
        if name not in known:
            raise _Mistake(f"--ejected: no server is named {name!r}; {suggest(name, known)}")


def _keys(texts: Sequence[str], command: str) -> list[bytes]:
    """The keys as typed bytes, whatever the terminal's encoding."""
    if command == "flush_all":
        if texts:
            raise _Mistake("flush_all has no key")
        return [b""]
    if not texts:
        raise _Mistake("a key is missing")
    keys = [os.fsencode(text) for text in texts]
    for text, key in zip(texts, keys, strict=True):
        if not 0 < len(key) <= KEY_MAX or any(byte <= 0x20 or byte == 0x7F for byte in key):
            raise _Mistake(
                f"{text!r} is not a key: 1 to {KEY_MAX} bytes without blanks and control characters"
            )
    return keys
